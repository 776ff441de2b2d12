"""The student to ship, against the rule of one standard error by hand."""

from __future__ import annotations

from typing import Any

import pytest

from kdsearch.errors import RunError, UserError
from kdsearch.results.limits import Limits
from kdsearch.results.pick import lacks, pick

METRICS = {
    "accuracy": {"better": "higher", "unit": "%"},
    "mae": {"better": "lower", "unit": "mm"},
}


def row(trial: int, size: int, score: float | None, error: float = 0.01, **more: Any) -> Any:
    return {
        "trial": trial,
        "parameters": size,
        "bytes": 4 * size,
        "latency": None,
        "mean_validation_accuracy": score,
        "mean_validation_mae": None if score is None else 1 - score,
        "mean_validation_error": None if score is None else error,
        "retained_validation": None if score is None else score / 0.99,
        # what the test says has no say, so it says the contrary
        "test_accuracy": None if score is None else 1 - score,
        **more,
    }


def content(*rows: Any, objective: str = "accuracy") -> dict[str, Any]:
    return {
        "study": "digits",
        "objective": objective,
        "sizes": ["parameters"],
        "size_names": ["parameters", "bytes", "latency"],
        "metrics": METRICS,
        "teacher": None,
        "front": list(rows),
    }


STUDY = content(
    row(1, 100, 0.60), row(2, 500, 0.935), row(3, 2_000, 0.951), row(4, 9_000, 0.96, 0.01)
)


@pytest.mark.parametrize("objective", ["accuracy", "mae"])
def test_the_smallest_within_one_standard_error_of_the_best_is_picked(objective: str) -> None:
    found = pick(STUDY | {"objective": objective})
    # the best has .96 with an error of .01: trial 3 (.951) is within it, trial 2 (.935) is not
    assert (found.row["trial"], found.best["trial"]) == (3, 4)
    assert found.cheaper is not None
    assert found.cheaper["trial"] == 2
    assert found.better is not None
    assert found.better["trial"] == 4
    assert (found.fitting, found.judged) == (4, 4)


def test_a_best_that_is_known_exactly_is_picked_itself() -> None:
    found = pick(content(row(1, 100, 0.95), row(2, 500, 0.96, 0.0)))
    assert found.row is found.best
    assert found.row["trial"] == 2
    assert found.better is None


def test_of_two_of_one_size_the_better_is_picked() -> None:
    assert pick(content(row(1, 100, 0.951), row(2, 100, 0.955))).row["trial"] == 2


def test_limits_leave_out_and_the_neighbours_stay() -> None:
    found = pick(STUDY, Limits(most={"parameters": 1_000}))
    assert found.row["trial"] == 2
    assert found.fitting == 2
    assert found.better is not None
    assert found.better["trial"] == 3  # what a larger limit would give
    assert pick(STUDY, Limits(least={"retained": 0.96})).row["trial"] == 3
    assert pick(STUDY, Limits(most={"mae": 0.045})).row["trial"] == 4


def test_nobody_keeps_the_limits_the_nearest_is_named_with_what_it_lacks() -> None:
    limits = Limits(most={"parameters": 1_000}, least={"accuracy": 0.95})
    with pytest.raises(RunError, match="no finalist of digits keeps the limits") as raised:
        pick(STUDY, limits)
    assert "trial 2: accuracy 93.50%, wanted at least 95.00%" in str(raised.value)
    assert raised.value.exit_code == 1
    assert lacks(STUDY["front"][1], limits) == {"accuracy": pytest.approx(0.015 / 0.95)}
    assert lacks(STUDY["front"][3], limits) == {"parameters": pytest.approx(8.0)}


def test_unjudged_finalists_are_no_candidates() -> None:
    found = pick(content(row(1, 100, None), row(2, 500, 0.9)))
    assert (found.row["trial"], found.judged) == (2, 1)
    with pytest.raises(RunError, match="no finalist of digits is judged yet"):
        pick(content(row(1, 100, None)))


def test_limits_of_what_is_not_known_are_refused() -> None:
    with pytest.raises(UserError, match="paramters: no size or metric of this study; did you"):
        pick(STUDY, Limits(most={"paramters": 1}))
    with pytest.raises(UserError, match="latency is not known of any finalist"):
        pick(STUDY, Limits(most={"latency": 1}))
