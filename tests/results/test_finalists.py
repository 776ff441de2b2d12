"""Finalists: intervals against the textbook, pairing, every score, and what is shipped."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from kdsearch.results.finalists import Finalist, interval
from kdsearch.results.objectives import Objectives
from kdsearch.results.record import TrialRecord
from kdsearch.results.tables import beaten_by, front_table, trials_table
from kdsearch.spec import MethodConfig, TermConfig
from tests.records import TASK, trial


def run(seed: int, test: float, validation: float = 0.5) -> TrialRecord:
    record = trial(seed, validation, 10)
    return record.model_copy(
        update={"task": TASK.model_copy(update={"seed": seed}), "test": {"accuracy": test}}
    )


def distilled() -> TrialRecord:
    record = trial(0, 0.5, 1)
    method = MethodConfig(label="kd", terms=(TermConfig(name="kd"),))
    return record.model_copy(update={"task": record.task.model_copy(update={"method": method})})


def front(*finalists: Finalist) -> pd.DataFrame:
    return front_table(finalists, Objectives(), range(99))


def test_estimate_is_the_t_interval_of_scipy() -> None:
    values = [0.91, 0.93, 0.90, 0.95]
    low, high = stats.t.interval(
        0.95, len(values) - 1, loc=np.mean(values), scale=stats.sem(values)
    )
    found = interval(values)
    assert found.mean == pytest.approx((low + high) / 2)
    assert found.half_width == pytest.approx((high - low) / 2)
    assert found.count == 4


def test_one_value_has_no_interval_and_none_has_no_mean() -> None:
    assert interval([0.5]).mean == 0.5
    assert math.isnan(interval([0.5]).half_width)
    assert math.isnan(interval([]).mean)


def test_every_score_of_the_test_has_its_estimate() -> None:
    pairs = [(0.9, 0.02), (0.8, 0.05), (0.85, 0.08)]
    runs = [
        record.model_copy(update={"test": {"accuracy": accuracy, "nll": 0.5, "ece": ece}})
        for record, (accuracy, ece) in zip(
            [run(seed, 0.0) for seed in range(3)], pairs, strict=True
        )
    ]
    finalist = Finalist(trial(0, 0.5, 1), tuple(runs), ())
    low, high = stats.t.interval(0.95, 2, loc=0.05, scale=stats.sem([0.02, 0.05, 0.08]))
    found = finalist.test("ece")
    assert (found.mean, found.half_width, found.count) == (
        pytest.approx(0.05),
        pytest.approx((high - low) / 2),
        3,
    )
    assert finalist.test("accuracy") == interval([a for a, _ in pairs])
    assert finalist.test("nll").half_width == 0


def test_a_score_that_no_record_has_is_not_a_number() -> None:
    finalist = Finalist(trial(0, 0.5, 1), (run(1, 0.9), run(2, 0.8)), ())
    assert finalist.test("agreement").count == 0
    assert math.isnan(finalist.test("agreement").mean)
    (row,) = front(finalist).to_dict("records")
    assert row["test_accuracy"] == pytest.approx(0.85)
    assert math.isnan(row["test_agreement"])
    assert math.isnan(row["test_kl_ci"])


def test_the_front_has_each_score_with_its_interval() -> None:
    scores = {"accuracy": 0.9, "nll": 0.4, "ece": 0.03, "agreement": 0.95, "kl": 0.1}
    runs = [run(seed, 0.0) for seed in (1, 2)]
    runs = [record.model_copy(update={"test": scores}) for record in runs]
    (row,) = front(Finalist(distilled(), tuple(runs), ())).to_dict("records")
    for name, score in scores.items():
        assert (row[f"test_{name}"], row[f"test_{name}_ci"]) == (pytest.approx(score), 0), name


def test_the_trials_have_the_scores_of_their_last_epoch() -> None:
    scores = {"accuracy": 0.9, "nll": 0.4, "ece": 0.03, "agreement": 0.95, "kl": 0.1}
    epochs = ({**dict.fromkeys(scores, 0.0), "seconds": 1.0}, {**scores, "seconds": 2.0})
    full = trial(0, 0.5, 10).model_copy(update={"epochs": epochs})
    broken = trial(2, None, 10).model_copy(update={"epochs": epochs[:1]})
    table = trials_table([broken, trial(1, 0.5, 10), full], [full]).set_index("trial")
    for name, score in scores.items():
        assert table.loc[0, f"validation_{name}"] == score
        assert math.isnan(table.loc[2, f"validation_{name}"])
    assert math.isnan(table.loc[1, "validation_ece"])
    assert table.loc[1, "validation_accuracy"] == 0.5


def test_gain_is_paired_by_seed() -> None:
    runs = (run(1, 0.9), run(2, 0.8))
    baseline = (run(2, 0.7), run(1, 0.85), run(3, 0.1))
    gain = Finalist(distilled(), runs, baseline).gain
    assert gain.mean == pytest.approx(np.mean([0.9 - 0.85, 0.8 - 0.7]))
    assert gain.count == 2


def test_the_shipped_training_is_best_on_validation_not_on_test() -> None:
    runs = (run(1, test=0.99, validation=0.5), run(2, test=0.60, validation=0.8))
    shipped = Finalist(trial(0, 0.5, 1), runs, ()).shipped
    assert shipped is not None
    assert shipped.task.seed == 2


@pytest.mark.parametrize(
    ("objective", "gain", "shipped"), [("nll", 0.3, 1), ("agreement", -0.2, 2)]
)
def test_gain_and_shipped_training_follow_the_objective(
    objective: str, gain: float, shipped: int
) -> None:
    """A lower likelihood loss and a lower agreement, at one accuracy."""

    def scored(seed: int, nll: float, agreement: float) -> TrialRecord:
        scores = {"accuracy": 0.5, "nll": nll, "agreement": agreement}
        record = run(seed, 0.5)
        return record.model_copy(update={"test": scores, "epochs": (scores,)})

    runs = (scored(1, 0.6, 0.7), scored(2, 0.9, 0.75))
    baseline = (scored(1, 1.0, 0.9), scored(2, 1.1, 0.95))
    finalist = Finalist(distilled(), runs, baseline, Objectives(score=objective))
    assert finalist.gain.mean == pytest.approx(gain)
    assert finalist.gain.count == 2
    assert finalist.shipped is not None
    assert finalist.shipped.task.seed == shipped
    (row,) = front_table([finalist], finalist.objectives, [0]).to_dict("records")
    assert (row["objective"], row["gain"]) == (objective, pytest.approx(gain))


@pytest.mark.parametrize(
    ("teacher", "generations", "times"),
    [
        ("teacher", 1, 1),
        ("average", 3, 1),
        ("mutual", 1, 2),
        ("born_again", 1, 2),
        ("born_again", 3, 4),
    ],
)
def test_the_front_names_the_compute_of_a_training(
    teacher: str, generations: int, times: int
) -> None:
    trained = distilled()
    update = {"teacher": teacher, "generations": generations}
    trained = trained.model_copy(update={"task": trained.task.model_copy(update=update)})
    (row,) = front(Finalist(trained, (), ())).to_dict("records")
    assert row["trainings"] == times


def judged(number: int, size: int, scores: list[float]) -> Finalist:
    runs = tuple(run(seed, score) for seed, score in enumerate(scores))
    return Finalist(trial(number, 0.5, size), runs, ())


def test_a_finalist_is_beaten_by_a_smaller_one_whose_interval_lies_above() -> None:
    """Of three seeds Student's t interval is ±4.303 standard errors."""
    finalists = [
        judged(1, 10, [0.80, 0.81, 0.82]),  # 0.785 to 0.835
        judged(2, 20, [0.90, 0.91, 0.92]),  # 0.885 to 0.935
        judged(3, 20, [0.84, 0.85, 0.86]),  # 0.825 to 0.875: no larger than 2, and below it
        judged(4, 30, [0.70, 0.71, 0.72]),  # below 1, 2 and 3
        judged(5, 30, [0.88, 0.91, 0.94]),  # overlaps all that are better
        judged(6, 40, [0.5]),  # one seed has no interval
    ]
    assert beaten_by(finalists, Objectives()) == {3: 2, 4: 2}
    table = front_table(finalists, Objectives(), {1, 2, 5}).set_index("trial")
    assert table["beaten_by"].dropna().to_dict() == {3: 2, 4: 2}
    assert table[table["member"]].index.tolist() == [1, 2, 5]
