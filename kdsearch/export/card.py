"""The model card of a shipped student: README.md with a head as the Hugging Face Hub reads it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import yaml

from kdsearch.export.shipping import Shipment, ShippedFile
from kdsearch.graphs.metadata import hub_task, metadata_of
from kdsearch.results.domains import adapts, alone, on_the_test, source_score
from kdsearch.results.gains import undistilled
from kdsearch.results.limits import told, told_size
from kdsearch.training.teacher_store import describe

LICENCE = """license:            # fill in, such as apache-2.0
license_link:       # fill in where the licence is one of your own"""

_SIZES = ("parameters", "macs", "bytes", "compressed_bytes", "latency")


def model_card(
    shipment: Shipment,
    content: Mapping[str, Any],
    row: Mapping[str, Any],
    files: Sequence[ShippedFile],
    command: str,
) -> str:
    """The card's text.

    Args:
        shipment: The student.
        content: That of ``front.json``.
        row: The student's row of it.
        files: What was written.
        command: The command that exports the same again.
    """
    name = f"{content['study']}-trial-{row['trial']}"
    parts = [
        _head(shipment, content, name, files),
        f"# {name}",
        _what(content, row),
        _section("How good it is", _scores(content, row, files)),
        _section("How large it is", _sizes(content, row, files)),
        _section("What it takes and gives", _form(shipment)),
        _section("How it was trained", _training(shipment, row)),
        _section("To make it again", _again(command)),
        "## Licence\n\nTo be filled in, above and here: of the weights, and what the licences of "
        "the data and of the teacher ask for.",
    ]
    return "\n\n".join(parts) + "\n"


def _head(
    shipment: Shipment, content: Mapping[str, Any], name: str, files: Sequence[ShippedFile]
) -> str:
    data, task = shipment.data.name, hub_task(shipment.module)
    metrics = [
        {"type": metric, "name": content["metrics"][metric]["title"], "value": round(score, 6)}
        for file in files[:1]
        for metric, score in file.scores.items()
    ]
    facts: dict[str, Any] = {
        "library_name": "onnx" if files[0].name.endswith(".onnx") else "pytorch",
        **({"pipeline_tag": task} if task else {}),
        "tags": ["knowledge-distillation", "kdsearch"],
        "datasets": [data],
        "metrics": list(content["metrics"]),
    }
    if task and metrics:
        result = {
            "task": {"type": task},
            "dataset": {"name": data, "type": data, "split": "test"},
            "metrics": metrics,
        }
        facts["model-index"] = [{"name": name, "results": [result]}]
    told_facts = yaml.safe_dump(facts, sort_keys=False, allow_unicode=True).rstrip()
    return f"---\n{LICENCE}\n{told_facts}\n---"


def _what(content: Mapping[str, Any], row: Mapping[str, Any]) -> str:
    depth = "" if row.get("depth") is None else f", depth {row['depth']}"
    student = f"{row['family']} of width {row['width']:.3g}{depth}"
    if row["method"] == "none":
        how = "trained by the targets alone, without a teacher"
    elif undistilled(row):
        how = f"trained by the targets and by {row['method']}, without a teacher"
    else:
        taught = f" from {row['teacher']}" if row["teacher"] else ""
        verb = "adapted to the target domain" if adapts(content) else "distilled"
        how = f"{verb} by {row['method']}{taught}"
    kept = row.get("retained")
    share = "" if kept is None else f" It keeps {kept:.1%} of the teacher's score on the test."
    return f"A {student}, {how}, for {content['study']}.{share}"


def _scores(
    content: Mapping[str, Any], row: Mapping[str, Any], files: Sequence[ShippedFile]
) -> Iterator[str]:
    scored = [file for file in files if file.scores]
    teacher = (content["teacher"] or {}).get("test", {})
    heads = [f"`{file.name}`" for file in scored]
    how, alone_told = f"mean over {row['seeds']} seeds", alone(content)
    yield _line(on_the_test(content), *heads, how, alone_told, "teacher")
    yield "|---|" + "---:|" * (len(heads) + 3)
    for name, metric in content["metrics"].items():
        if row.get(f"test_{name}") is None:
            continue
        yield _line(
            metric["title"],
            *(_told(content, name, file.scores.get(name)) for file in scored),
            _mean(content, row, f"test_{name}", name),
            _mean(content, row, f"baseline_{name}", name),
            _told(content, name, teacher.get(name)),
        )
    if adapts(content):
        name, source = content["objective"], source_score(content)
        yield _line(
            f"{content['metrics'][name]['title']} on the source's test",
            *("" for _ in scored),
            _mean(content, row, f"test_{source}", name),
            _mean(content, row, f"baseline_{source}", name),
            _told(content, name, teacher.get(source)),
        )
    yield ""
    yield f"± is half of the 95 % interval by Student's t over seeds. `{alone_told}` is the same"
    by = row.get("baseline_method") or "none"
    without = "not adapted to the target" if adapts(content) else "without a teacher"
    yield f"student, tuned as well, {without}{'' if by == 'none' else f', by `{by}`'}."
    if row.get("gain") is not None:
        half = row.get("gain_ci")
        spread = "" if half is None else f" ± {half:.4g}"
        objective = content["metrics"][content["objective"]]["title"]
        yield f"Gain over it, paired by seed, in {objective}: {row['gain']:+.4g}{spread}."


def _sizes(
    content: Mapping[str, Any], row: Mapping[str, Any], files: Sequence[ShippedFile]
) -> Iterator[str]:
    teacher = (content["teacher"] or {}).get("sizes", {})
    yield _line("", "student", "teacher")
    yield "|---|---:|---:|"
    for name in _SIZES:
        if row.get(name) is not None:
            whole = teacher.get(name)
            yield _line(
                name, told_size(name, row[name]), "" if whole is None else told_size(name, whole)
            )
    for file in files:
        yield _line(f"`{file.name}`", told_size("bytes", file.bytes), "")


def _form(shipment: Shipment) -> Iterator[str]:
    metadata = metadata_of(shipment.module)
    yield "Normalisation, and resizing if any, are inside the graph: give samples as they are."
    yield ""
    yield _line("input", "type", "shape", "")
    yield "|---|---|---|---|"
    for each in json.loads(metadata["inputs"]):
        shape = "[" + ", ".join(map(str, each["shape"])) + "]"
        yield _line(f"`{each['name']}`", each["type"], shape, each["given"])
    yield ""
    yield "The one output is `outputs`, float32 [batch, columns]."
    yield ""
    yield _line("task", "columns", "outputs", "names")
    yield "|---|---|---|---|"
    for each in json.loads(metadata["tasks"]):
        first, end = each["columns"]
        yield _line(
            each["name"], f"{first} to {end - 1}", each["outputs"], ", ".join(each["names"])
        )


def _training(shipment: Shipment, row: Mapping[str, Any]) -> Iterator[str]:
    data, run = shipment.data, shipment.finalist.shipped
    assert run is not None
    yield f"- data: {data.name}, {len(data.train)} training, {len(data.validation)} validation and"
    yield f"  {len(data.test)} test samples, SHA-256 `{data.fingerprint}`"
    yield f"- method: {row['method']}, {_values(row['hyperparameters'] | row['weights'])}"
    if row["teacher"]:
        yield f"- teacher: {_teacher(shipment, row['teacher'])}"
    training = run.task.training
    yield f"- training: {training.epochs} epochs, batches of {training.batch_size},"
    yield f"  {training.optimizer}, learning rate {training.lr:.3g},"
    yield f"  weight decay {training.weight_decay:.3g}, seed {run.task.seed}"
    yield "- chosen among the seeds by its score on validation; the test had no say"


def _teacher(shipment: Shipment, name: str) -> str:
    """Its name in the study, and the networks behind it."""
    spec = shipment.study.spec
    behind = [name for name in spec.teachers_behind(name) if name in spec.given_teachers]
    networks = "; ".join(describe(spec.given_teachers[each].model) for each in behind)
    return f"{name} ({networks})" if networks else name


def _again(command: str) -> Iterator[str]:
    yield "`study.yaml` is the search-space file with all defaults written out."
    yield ""
    yield "```bash"
    yield "kdsearch run study.yaml"
    yield command
    yield "```"


def _section(title: str, lines: Iterator[str]) -> str:
    return f"## {title}\n\n" + "\n".join(lines)


def _line(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _mean(content: Mapping[str, Any], row: Mapping[str, Any], column: str, name: str) -> str:
    half = row.get(f"{column}_ci")
    spread = "" if half is None else f" ± {told(content, name, half)}"
    return _told(content, name, row.get(column)) + spread


def _told(content: Mapping[str, Any], name: str, value: float | None) -> str:
    return "" if value is None else told(content, name, value)


def _values(values: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in values.items())
