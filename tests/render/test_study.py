"""The table of the front, and the samples of a space."""

from __future__ import annotations

import pandas as pd

from kdsearch.render.study import front_note, front_view, gain_note, samples_view
from kdsearch.results.finalists import Finalist
from kdsearch.results.objectives import Objectives
from kdsearch.results.tables import front_table
from kdsearch.spec import MethodConfig, TermConfig
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


SCORES = {"accuracy": 0.9, "nll": 0.4, "ece": 0.03, "agreement": 0.85, "kl": 0.2}


def table_of(*finalists: Finalist) -> pd.DataFrame:
    return front_table(finalists, Objectives(), range(99))


def test_the_front_shows_each_score_with_its_interval() -> None:
    finalists = [judged(0, "none", None, SCORES), judged(1, "kd", "teacher", SCORES)]
    front = table_of(*finalists)
    text = shown(front_view(front, "front of x", 160), 160)
    # the t quantile of 2 degrees of freedom, 4.3027, times 1 point / √3
    line = block(text, "1")
    for told in ("92.00 ± 2.48", "5.00 ± 2.48", "87.00 ± 2.48", "+0.00 ± 0.00", "kd 2.5", "2,000"):
        assert told in line
    assert "baseline" in block(text, "0")
    head = text.splitlines()[1]
    assert all(name in head for name in ("test accuracy", "ECE", "agreement", "gain"))
    assert "taught by" not in head
    assert "expected calibration error (ECE)" in front_note(front, 160)
    assert "over 3 seeds" in front_note(front, 160)


def test_a_narrow_front_says_what_has_no_room() -> None:
    front = table_of(judged(0, "kd", "teacher", SCORES))
    text = shown(front_view(front, "front of x", 100), 100)
    assert "ECE" not in text
    assert "92.00 ± 2.48" in text
    assert front_note(front, 100).endswith("ECE, agreement: in a wider terminal")


def test_balanced_accuracy_stands_beside_accuracy_in_any_width() -> None:
    front = table_of(judged(0, "kd", "teacher", SCORES | {"balanced_accuracy": 0.5}))
    for width in (100, 160):
        text = shown(front_view(front, "front of x", width), width)
        assert "balanced" in text.splitlines()[1]
        assert "52.00 ± 2.48" in text
        assert "balanced accuracy (the mean over classes)" in front_note(front, width)
    plain = table_of(judged(0, "kd", "teacher", SCORES))
    assert "balanced" not in front_note(plain, 160)


def test_a_front_of_old_records_leaves_out_what_they_lack() -> None:
    front = front_table(
        [judged(0, "kd", "teacher", {"accuracy": 0.9, "nll": 0.4})], Objectives(), range(99)
    )
    text = shown(front_view(front, "front of x", 160), 160)
    assert "ECE" not in text + front_note(front, 160)
    assert "nan" not in text
    assert "agreement" not in front_note(front, 100)


def test_the_front_names_the_teachers_where_there_are_several() -> None:
    front = front_table(
        [judged(0, "kd", "small", SCORES), judged(1, "kd", "large", SCORES)],
        Objectives(),
        range(99),
    )
    text = shown(front_view(front, "front of x", 160), 160)
    assert "taught by" in text
    assert "small" in block(text, "0")
    assert "large" in block(text, "1")


def test_samples_name_their_values_and_sizes() -> None:
    records = [judged(n, "kd", name, SCORES).trial for n, name in enumerate(("small", "large"))]
    text = shown(samples_view(records))
    assert all(word in text for word in ("taught by", "small", "large", "weight 2.5", "2,000"))
    plain = judged(2, "kd", "teacher", SCORES).trial
    assert "taught by" not in shown(samples_view([plain]))


def test_the_note_says_where_distillation_pays() -> None:
    front = pd.DataFrame(
        {
            "gain": [0.05, 0.03, -0.04, 0.01, float("nan"), 0.02],
            "gain_ci": [0.01, 0.02, 0.01, 0.02, float("nan"), float("nan")],
            "parameters": [100, 2000, 30, 400, 500, 600],
        }
    )
    assert gain_note(front, "parameters") == (
        "distillation helps at 2 of 5 finalists (100 to 2,000 parameters), costs at 1 of 5 "
        "finalists (30 parameters), is undecided at 2 of 5 finalists (400 to 600 parameters)"
    )
    assert gain_note(front[:0], "parameters") == ""
    assert gain_note(front[4:5], "parameters") == ""


def test_what_is_not_on_the_front_or_beaten_is_marked() -> None:
    front = table_of(judged(0, "kd", "teacher", SCORES), judged(1, "kd", "teacher", SCORES))
    assert "beaten" not in shown(front_view(front, "front of x", 160), 160)
    assert "*" not in front_note(front, 160)
    front["member"], front["beaten_by"] = [True, False], [None, 0]
    text = shown(front_view(front, "front of x", 160), 160)
    assert "beaten by" in text
    assert "1*" in text
    note = front_note(front, 160)
    assert "* within noise of that front, on which it is not" in note
    assert "beaten by: a trial that is no larger and whose interval lies above" in note


def test_the_gain_is_in_the_objective_and_names_its_compute() -> None:
    objectives = Objectives(score="nll")
    kd = judged(0, "kd", "teacher", SCORES)
    again = judged(1, "kd", "born_again", SCORES)
    worse = [
        run.model_copy(update={"test": {**(run.test or {}), "nll": 0.4 + 0.02 * seed}})
        for seed, run in enumerate(kd.runs, start=1)
    ]
    finalists = [Finalist(each.trial, each.runs, tuple(worse), objectives) for each in (kd, again)]
    front = front_table(finalists, objectives, range(99))
    text = shown(front_view(front, "front of x", 200), 200)
    # gains of 0.01, 0.02 and 0.03 nats; t of 2 degrees of freedom times 0.01 / √3
    assert "NLL" in text.splitlines()[1]
    assert "0.420 ± 0.025" in block(text, "0")
    assert text.count("+0.020 ± 0.025") == 2
    assert text.count("at 2×") == 1
    assert block(text, "1").endswith("+0.020 ± 0.025 at 2×")
    note = front_note(front, 200)
    assert "gain in nats of NLL" in note
    assert "n×: its training takes n times the compute of the baseline's" in note
    plain = table_of(judged(0, "kd", "teacher", SCORES))
    assert "n×" not in front_note(plain, 200)
    assert "gain in points of accuracy" in front_note(plain, 200)
