"""The table of the front and its notes, from rows as front.json has them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from kdsearch.problems import CLASSIFICATION
from kdsearch.render.front import front_view
from kdsearch.render.front_notes import front_notes
from kdsearch.render.pick import gain_told
from kdsearch.results.finalists import Finalist
from kdsearch.results.front_file import metric_facts, rows
from kdsearch.results.gains import gain_note
from kdsearch.results.objectives import Objectives
from kdsearch.results.tables import front_table
from kdsearch.spec import MethodConfig, TermConfig
from kdsearch.ways import way_configs
from tests.records import trial
from tests.render.reading import block, shown


def judged(number: int, label: str, teacher: str | None, scores: dict[str, float]) -> Finalist:
    terms = () if label == "none" else (TermConfig(name=label, hyperparameters={"weight": 2.5}),)
    made = trial(number, 0.5, 1000 * (number + 1))
    task = made.task.model_copy(
        update={"method": MethodConfig(label=label, terms=terms), "teacher": teacher}
    )
    record = made.model_copy(update={"task": task})
    runs = [
        record.model_copy(
            update={
                "task": task.model_copy(update={"seed": seed}),
                "test": {name: score + 0.01 * seed for name, score in scores.items()},
            }
        )
        for seed in (1, 2, 3)
    ]
    return Finalist(record, tuple(runs), tuple(runs))


def test_a_baseline_by_pseudo_labels_is_named() -> None:
    taught = judged(0, "kd", "teacher", SCORES)
    alone = judged(1, "pseudo_label", None, SCORES)
    baseline = tuple(
        run.model_copy(update={"test": {n: 0.9 * s for n, s in (run.test or {}).items()}})
        for run in alone.runs
    )
    one = Finalist(taught.trial, taught.runs, baseline)
    content = summary_of(one, alone) | {"baselines": ["none", "pseudo_label"]}
    assert [row["undistilled"] for row in content["front"]] == [False, True]
    assert [row["baseline_method"] for row in content["front"]] == ["pseudo_label"] * 2
    layout = front_view(content, 120)
    assert "baseline" in block(shown(layout.tables[0], 120), "1")
    (note, *_) = front_notes(content, layout)
    assert "without a teacher, by the better on validation of none and pseudo_label" in note
    told = gain_told(content | {"teacher": None}, content["front"][0])
    assert "over the same student by pseudo_label, which needs no teacher, tuned as well" in told
    told = gain_told(content, content["front"][1])
    assert told == "the student is undistilled, by pseudo_label: distillation does not help here"


SCORES = {"accuracy": 0.9, "nll": 0.4, "ece": 0.03, "agreement": 0.85, "kl": 0.2}


def summary_of(
    *finalists: Finalist, objectives: Objectives | None = None, members: Sequence[int] = range(99)
) -> dict[str, Any]:
    """What front.json holds of a study of these finalists."""
    objectives = objectives or Objectives()
    table = front_table(finalists, objectives, members)
    names = CLASSIFICATION.names
    return {
        "study": "x",
        "objective": objectives.score,
        "sizes": list(objectives.sizes),
        "metrics": {name: metric_facts(name) for name in names},
        "front": rows(table),
    }


def table(summary: dict[str, Any], width: int, wide: bool = False) -> str:
    parts = front_view(summary, width, wide).tables
    return "\n".join(shown(part, width) for part in parts)


def notes(summary: dict[str, Any], width: int | None = None) -> str:
    return "\n".join(front_notes(summary, front_view(summary, width)))


def test_the_front_shows_each_score_with_its_interval() -> None:
    finalists = [judged(0, "none", None, SCORES), judged(1, "kd", "teacher", SCORES)]
    front = summary_of(*finalists)
    text = table(front, 180)
    # the t quantile of 2 degrees of freedom, 4.3027, times 1 point / √3
    line = block(text, "1")
    for told in ("92.00 ± 2.48", "5.00 ± 2.48", "87.00 ± 2.48", "+0.00 ± 0.00", "kd 2.5", "2,000"):
        assert told in line
    assert "baseline" in block(text, "0")
    head = text.splitlines()[1]
    assert all(name in head for name in ("test accuracy", "ECE", "agreement", "gain"))
    assert "taught by" not in head
    assert "expected calibration error (ECE)" in notes(front)
    assert "over 3 seeds" in notes(front)


def test_a_narrow_front_keeps_its_rows_whole_and_says_what_has_no_room() -> None:
    labels = ["none", "kd+reviewkd", "dist+adversarial_embedding"]
    front = summary_of(*(judged(n, label, None, SCORES) for n, label in enumerate(labels)))
    for width in range(45, 181):
        lines = table(front, width).splitlines()
        assert len(lines) == 2 + len(labels)  # the title and the heads
        assert all("92.00 ± 2.48" in line for line in lines[2:])
    lines = table(front, 80).splitlines()
    assert lines[1].split() == [
        "trial",
        "method",
        "student",
        "parameters",
        "test",
        "accuracy",
        "gain",
    ]
    assert notes(front, 80).splitlines()[-1] == (
        "--wide also shows weights, MACs, ECE, agreement, validation accuracy, what is cut"
    )
    assert "dist+adversarial_em…" in lines[-1]
    assert "--wide" not in notes(front)


def test_wide_shows_everything_in_further_tables() -> None:
    label = "dist+adversarial_embedding"
    front = summary_of(judged(3, label, "teacher", SCORES))
    parts = front_view(front, 80, wide=True)
    texts = [shown(part, 80) for part in parts.tables]
    assert len(texts) > 1
    for text in texts:
        head, row = text.splitlines()[-2:]
        assert head.split()[:2] == ["trial", "method"]
        assert row.split()[:2] == ["3", label]
        assert "…" not in row
    every = "".join(texts)
    assert all(head in every for head in front_view(front).heads)
    assert parts.hint == ""


def test_balanced_accuracy_stands_beside_accuracy_where_there_is_room() -> None:
    front = summary_of(judged(0, "kd", "teacher", SCORES | {"balanced_accuracy": 0.5}))
    for width in (110, 160):
        text = table(front, width)
        assert "balanced" in text.splitlines()[1]
        assert "52.00 ± 2.48" in text
        assert "balanced accuracy (the mean over classes)" in notes(front, width)
    assert "balanced" in notes(front, 70).splitlines()[-1]
    plain = summary_of(judged(0, "kd", "teacher", SCORES))
    assert "balanced" not in notes(plain)


def test_a_front_of_old_records_leaves_out_what_they_lack() -> None:
    front = summary_of(judged(0, "kd", "teacher", {"accuracy": 0.9, "nll": 0.4}))
    text = table(front, 160)
    assert "ECE" not in text + notes(front)
    assert "nan" not in text
    assert "agreement" not in notes(front, 80)


def test_the_front_names_the_teachers_where_there_are_several() -> None:
    front = summary_of(judged(0, "kd", "small", SCORES), judged(1, "kd", "large", SCORES))
    text = table(front, 160)
    assert "taught by" in text
    assert "small" in block(text, "0")
    assert "large" in block(text, "1")


def test_the_front_of_a_search_without_finalists_shows_validation_scores() -> None:
    made = [judged(n, label, None, SCORES).trial for n, label in enumerate(("none", "kd"))]
    front = summary_of(*(Finalist(record, (), ()) for record in made))
    for width in (80, 160):
        text = table(front, width)
        head, first, _ = text.splitlines()[1:]
        assert "validation accuracy" in head
        assert "test" not in head
        assert first.split()[-1] == "50.00"  # of tests.records.trial
        assert "not yet" not in text
    assert "validation accuracy in % of one training each" in notes(front)
    assert "seeds" not in notes(front)
    some = summary_of(Finalist(made[0], (), ()), judged(1, "kd", "teacher", SCORES))
    assert "not yet" in block(table(some, 80), "0")


def test_what_is_kept_of_the_teachers_score_has_a_column_where_it_is_known() -> None:
    front = summary_of(judged(0, "kd", "teacher", SCORES))
    assert "teacher's" not in table(front, 160)
    front["front"][0]["retained"] = 0.9876
    front["teacher"] = {
        "name": "teacher",
        "sizes": {"parameters": 94_186, "macs": 609_536, "bytes": 378_560},
        "validation": {"accuracy": 0.98},
        "test": {"accuracy": 0.9711, "ece": 0.02},
    }
    assert "98.8%" in block(table(front, 160), "0")
    last = table(front, 160).splitlines()[-1]
    assert last.split() == ["teacher", "94,186", "609,536", "97.11", "2.00", "98.00"]
    assert table(front, 80).splitlines()[-1].split() == ["teacher", "94,186", "97.11"]
    assert "share of its test score that the student keeps" in notes(front)


def test_the_sizes_that_were_searched_for_come_first() -> None:
    objectives = Objectives(sizes=("latency", "macs"))
    finalist = judged(0, "kd", "teacher", SCORES)
    known = finalist.trial.model_copy(update={"latency": 123.4})
    front = summary_of(Finalist(known, finalist.runs, finalist.baseline), objectives=objectives)
    assert "latency (µs)" in table(front, 80).splitlines()[1]
    assert "123" in block(table(front, 80), "0")
    text = table(front, 160).splitlines()[1]
    assert text.index("latency") < text.index("MACs") < text.index("parameters")


def test_the_note_says_where_distillation_pays() -> None:
    gains = [0.05, 0.03, -0.04, 0.01, None, 0.02]
    errors = [0.01, 0.02, 0.01, 0.02, None, None]
    sizes = [100, 2000, 30, 400, 500, 600]
    front = [
        {"gain": gain, "gain_ci": error, "parameters": size}
        for gain, error, size in zip(gains, errors, sizes, strict=True)
    ]
    summary = {"sizes": ["parameters"], "front": front}
    assert gain_note(summary) == (
        "distillation helps at 2 of 5 finalists (100 to 2,000 parameters), costs at 1 of 5 "
        "finalists (30 parameters), is undecided at 2 of 5 finalists (400 to 600 parameters)"
    )
    assert gain_note(summary | {"front": []}) == ""
    assert gain_note(summary | {"front": front[4:5]}) == ""


@pytest.mark.parametrize(
    ("gain", "told"), [(0.03, "it helps (the"), (-0.03, "pruning does not help here (the interval")]
)
def test_what_is_pruned_without_a_teacher_has_a_gain_that_is_none_of_distillation(
    gain: float, told: str
) -> None:
    pruned = judged(0, "none", None, SCORES)
    ways = way_configs("prune", {})
    model = pruned.trial.task.model.model_copy(update={"ways": ways})
    task = pruned.trial.task.model_copy(update={"model": model})
    pruned = replace(pruned, trial=pruned.trial.model_copy(update={"task": task}))
    content = summary_of(pruned)
    (row,) = content["front"]
    assert row["undistilled"] is False
    row |= {"gain": gain, "gain_ci": 0.01}
    assert "baseline" not in table(content, 180).splitlines()[-1]
    assert f"{100 * gain:+.2f}" in table(content, 180)
    assert told in gain_told(content, row)
    assert gain_note(content) == ""


@pytest.mark.parametrize(
    ("size", "least", "most", "told"),
    [
        ("bytes", 900, 44_180, "900 bytes to 44.2 kB"),
        ("bytes", 1_200, 44_180, "1.2 to 44.2 kB"),
        ("latency", 180.4, 230.0, "180 to 230 µs"),
        ("latency", 180.4, 2_300.0, "180 µs to 2.3 ms"),
        ("macs", 10, 2_000, "10 to 2,000 MACs"),
        ("macs", 10, 10, "10 MACs"),
    ],
)
def test_the_note_tells_sizes_in_their_units(
    size: str, least: float, most: float, told: str
) -> None:
    rows = [{"gain": 0.1, "gain_ci": 0.01, size: each} for each in (most, least)]
    note = gain_note({"sizes": [size], "front": rows})
    assert note == f"distillation helps at 2 of 2 finalists ({told})"


def test_what_is_not_on_the_front_or_beaten_is_marked() -> None:
    front = summary_of(judged(0, "kd", "teacher", SCORES), judged(1, "kd", "teacher", SCORES))
    assert "beaten" not in table(front, 180)
    assert "*" not in notes(front)
    front["front"][1] |= {"member": False, "beaten_by": 0.0}
    text = table(front, 180)
    assert "beaten by" in text
    assert "1*" in text
    assert "* within noise of that front, on which it is not" in notes(front)
    assert "beaten by: a trial that is no larger and whose interval lies above" in notes(front)


def test_the_gain_is_in_the_objective_and_names_its_compute() -> None:
    objectives = Objectives(score="nll")
    kd = judged(0, "kd", "teacher", SCORES)
    again = judged(1, "kd", "born_again", SCORES)
    worse = [
        run.model_copy(update={"test": {**(run.test or {}), "nll": 0.4 + 0.02 * seed}})
        for seed, run in enumerate(kd.runs, start=1)
    ]
    finalists = [Finalist(each.trial, each.runs, tuple(worse), objectives) for each in (kd, again)]
    front = summary_of(*finalists, objectives=objectives)
    text = table(front, 200)
    # gains of 0.01, 0.02 and 0.03 nats; t of 2 degrees of freedom times 0.01 / √3
    assert "test NLL" in text.splitlines()[1]
    assert "0.420 ± 0.025" in block(text, "0")
    assert text.count("+0.020 ± 0.025") == 2
    assert text.count("at 2×") == 1
    assert "+0.020 ± 0.025 at 2×" in block(text, "1")
    assert "gain in nats of NLL" in notes(front)
    assert "n×: its training takes n times the compute of the baseline's" in notes(front)
    plain = summary_of(judged(0, "kd", "teacher", SCORES))
    assert "n×" not in notes(plain)
    assert "gain in points of accuracy" in notes(plain)
