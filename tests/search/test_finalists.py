"""Finalists: intervals against the textbook, pairing, what is trained and what is shipped."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from kdsearch.search.finalists import Finalist, estimate
from kdsearch.search.record import TrialRecord
from kdsearch.spec import MethodConfig, TermConfig
from tests.search.records import TASK, trial


def run(seed: int, test: float, validation: float = 0.5) -> TrialRecord:
    record = trial(seed, validation, 10)
    return record.model_copy(
        update={"task": TASK.model_copy(update={"seed": seed}), "test": {"accuracy": test}}
    )


def distilled() -> TrialRecord:
    record = trial(0, 0.5, 1)
    method = MethodConfig(label="kd", terms=(TermConfig(name="kd"),))
    return record.model_copy(update={"task": record.task.model_copy(update={"method": method})})


def test_estimate_is_the_t_interval_of_scipy() -> None:
    values = [0.91, 0.93, 0.90, 0.95]
    low, high = stats.t.interval(
        0.95, len(values) - 1, loc=np.mean(values), scale=stats.sem(values)
    )
    found = estimate(values)
    assert found.mean == pytest.approx((low + high) / 2)
    assert found.half_width == pytest.approx((high - low) / 2)
    assert found.count == 4


def test_one_value_has_no_interval_and_none_has_no_mean() -> None:
    assert estimate([0.5]).mean == 0.5
    assert math.isnan(estimate([0.5]).half_width)
    assert math.isnan(estimate([]).mean)


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
