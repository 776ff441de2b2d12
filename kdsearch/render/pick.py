"""The student to ship, on one page for a person."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from kdsearch.results.domains import adapts, alone, itself, on_the_test, source_score, worth
from kdsearch.results.gains import compared_with, undistilled
from kdsearch.results.limits import RETAINED, Limits, told, told_size
from kdsearch.results.naming import small_student_told
from kdsearch.results.pick import Pick, Row
from kdsearch.spec.domains import SOURCE
from kdsearch.spec.teaching import UNDISTILLED

_TOLD_SIZES = ("parameters", "macs", "bytes", "compressed_bytes", "latency", "peak_memory")
_FEWER = {"parameters": "fewer", "macs": "fewer", "latency": "faster"}


def pick_lines(
    content: Mapping[str, Any], found: Pick, study: str, limits: Limits
) -> Iterator[tuple[str, str]]:
    """The page: a head and what stands beside it, a line or paragraph each.

    Args:
        content: That of ``front.json``.
        found: The student to ship.
        study: The study's folder as the user gave it.
        limits: What it had to keep.
    """
    row, objective = found.row, content["objective"]
    yield "ship", f"trial {row['trial']}: {row['method']}, {small_student_told(row)}"
    yield content["metrics"][objective]["head"], _scored(content, row)
    if adapts(content):
        yield "", f"{_mean(content, row, f'test_{source_score(content)}')} on the source's test"
    if line := _teacher(content, row):
        yield "teacher", line
    for name in _TOLD_SIZES:
        if row.get(name) is not None:
            yield ("size" if name == "parameters" else ""), _sized(content, row, name)
    if line := int8_told(content, row):
        yield "int8", line
    if line := _training(content, row):
        yield "training", line
    yield worth(content), gain_told(content, row)
    yield "chosen", _chosen(content, found, limits)
    yield "next cheaper", _other(content, found.cheaper, "none of the finalists is smaller")
    yield "next better", _other(content, found.better, "none has a better validation score")
    yield "files", f"{study}/students/trial-{row['trial']:04d}"


def pick_line(content: Mapping[str, Any], found: Pick) -> str:
    """The answer in one line."""
    row = found.row
    kept = row.get(RETAINED)
    retained = "" if kept is None else f", {kept:.1%} of the teacher's"
    score = _mean(content, row, f"test_{content['objective']}")
    if adapts(content):
        score = f"{score} {on_the_test(content)}"
        retained += f"; {_mean(content, row, f'test_{source_score(content)}')} on the source's"
    return (
        f"ship trial {row['trial']}, {row['method']} {small_student_told(row)}: "
        f"{told_size(content['sizes'][0], row[content['sizes'][0]])}, {score}{retained}"
    )


def gain_told(content: Mapping[str, Any], row: Row) -> str:
    """What distillation, or adaptation, is worth at a finalist, and how sure that is."""
    gain, half = row["gain"], row["gain_ci"]
    if undistilled(row):
        by = "" if row["method"] == UNDISTILLED else f", by {row['method']}"
        return f"the student is {itself(content)}{by}: {worth(content)} does not help here"
    if gain is None:
        return f"not known: its baseline ({alone(content)}) is not judged yet"
    over = f"{_difference(content, gain, half)} over {compared_with(row, content)}, tuned as well"
    if half is None:
        return f"{over}; one seed does not tell how sure"
    if gain - half > 0:
        return f"{over}: it helps (the 95 % interval lies above 0)"
    if gain + half < 0:
        # without a teacher, a student that has a gain is cut from a wider network
        what = "pruning" if row["method"] == UNDISTILLED else worth(content)
        return f"{over}: {what} does not help here (the interval lies below 0)"
    return f"{over}: not sure that it helps here (the 95 % interval holds 0)"


def int8_told(content: Mapping[str, Any], row: Row) -> str:
    """What the student is in 8 bits; nothing where that is not known."""
    name = f"int8_{content['objective']}"
    if row.get(name) is None:
        return f"none: {row['int8_reason']}" if row.get("int8_reason") else ""
    size = f" in {told_size('bytes', row['int8_bytes'])}" if row["int8_bytes"] else ""
    time = ""
    if row.get("int8_latency") is not None:
        time = f", {told_size('latency', row['int8_latency'])}"
    told_loss = ""
    if row["int8_loses_more"]:
        told_loss = "; it loses more than it should, so ship it as float32"
    return f"{_mean(content, row, name)} {on_the_test(content)}{size}{time}{told_loss}"


def _training(content: Mapping[str, Any], row: Row) -> str:
    """How a finalist of a ladder was trained; nothing in a study without one."""
    ways = {
        "chain": "in a chain, cut from a wider student that was trained before",
        "scratch": "from scratch",
    }
    if row.get("start") is None:
        return ""
    told_way = f"{ways[row['start']]}: {_lineage(content, row, '')}"
    if row.get("other_start") is None:
        return told_way
    other = {"chain": "in a chain", "scratch": "from scratch"}[row["other_start"]]
    return f"{told_way}; {other}: {_lineage(content, row, 'other_')}"


def _lineage(content: Mapping[str, Any], row: Row, prefix: str) -> str:
    """The epochs behind a training, and what it reaches on validation."""
    name = content["objective"]
    score = told(content, name, row[f"{prefix}mean_validation_{name}"])
    return f"{score} on validation after {row[f'{prefix}lineage_epochs']:g} epochs in all"


def _scored(content: Mapping[str, Any], row: Row) -> str:
    seeds = f"over {row['seeds']} seeds" if row["seeds"] > 1 else "with one seed"
    score = _mean(content, row, f"test_{content['objective']}")
    return f"{score} {on_the_test(content)}, {seeds}"


def _mean(content: Mapping[str, Any], row: Row, column: str) -> str:
    """A mean with its 95 % interval, in the metric's unit."""
    name = column.removeprefix("test_").removeprefix("int8_").removeprefix(SOURCE)
    if row.get(column) is None:
        return "not known"
    half = row.get(f"{column}_ci")
    spread = "" if half is None else f" ± {told(content, name, half)}"
    return f"{told(content, name, row[column])}{spread}"


def _teacher(content: Mapping[str, Any], row: Row) -> str:
    teacher, name = content["teacher"], content["objective"]
    score = teacher and teacher["test"].get(name)
    if score is None:
        return ""
    kept = row.get(RETAINED)
    share = "" if kept is None else f": the student retains {kept:.1%} of it"
    source = teacher["test"].get(source_score(content))
    there = "" if source is None else f"; {told(content, name, source)} on the source's"
    return f"{told(content, name, score)} {on_the_test(content)}{share}{there}"


def _sized(content: Mapping[str, Any], row: Row, name: str) -> str:
    size = told_size(name, row[name])
    if name == "bytes":
        size += f" as {row['stored']}"
    if name == "peak_memory":
        return f"{size} of memory at most, beyond onnxruntime's own"
    if name == "latency":
        size += " in onnxruntime"
    teacher = content["teacher"]
    whole = teacher and teacher["sizes"].get(name)
    if not whole or not row[name]:
        return size
    times = whole / row[name]
    return f"{size}, {times:.3g} times {_FEWER.get(name, 'smaller')} than the teacher"


def _difference(content: Mapping[str, Any], gain: float, half: float | None) -> str:
    metric = content["metrics"][content["objective"]]
    scale, form = (100, ".2f") if metric["unit"] == "%" else (1, ".3f")
    unit = "points" if metric["unit"] == "%" else metric["unit"]
    spread = "" if half is None else f" ± {scale * half:{form}}"
    return " ".join(filter(None, (f"{scale * gain:+{form}}{spread}", unit)))


def _chosen(content: Mapping[str, Any], found: Pick, limits: Limits) -> str:
    if found.judged == 1:
        return "it is the only finalist"
    if found.fitting == 1:
        return f"the only one of {found.judged} finalists that keeps the limits"
    name = content["objective"]
    head = content["metrics"][name]["head"]
    error = found.best["mean_validation_error"] or 0.0
    among = f"{found.fitting} of {found.judged} finalists that keep the limits"
    keeping = f", among the {among}" if limits else ""
    best = f"{told(content, name, found.best[f'mean_validation_{name}'])}"
    if found.row is found.best:
        return f"the best mean validation {head}, {best}{keeping}"
    return (
        f"the smallest within one standard error ({_plain(content, error)}) of the best mean "
        f"validation {head} ({best}, trial {found.best['trial']}){keeping}"
    )


def _plain(content: Mapping[str, Any], difference: float) -> str:
    return _difference(content, difference, None).removeprefix("+")


def _other(content: Mapping[str, Any], row: Row | None, without: str) -> str:
    if row is None:
        return without
    size = content["sizes"][0]
    return (
        f"trial {row['trial']}, {row['method']}: {told_size(size, row[size])}, "
        f"{_mean(content, row, 'test_' + content['objective'])} {on_the_test(content)}"
    )
