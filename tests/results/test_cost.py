"""Predicted costs: from the record alone, in the order in which trainings take time."""

from __future__ import annotations

from typing import Any

import pytest

from kdsearch.errors import MethodError
from kdsearch.methods import METHODS
from kdsearch.methods.kd import KD
from kdsearch.methods.registry import find_method
from kdsearch.results.cost import PLACE, STEP, TrialCost, relative_cost
from kdsearch.results.record import TrialRecord
from kdsearch.spec.concrete import FineTuning
from tests.records import trial

COST = TrialCost(samples=650, validation=100, places=64)


def record(label: str = "none", macs: int = 2_000_000, **task: Any) -> TrialRecord:
    made = trial(0, 0.5, 10)
    changed = made.task.model_copy(
        update={"method": made.task.method.model_copy(update={"label": label}), **task}
    )
    return made.model_copy(update={"macs": macs, "task": changed})


def with_batch(size: int) -> dict[str, Any]:
    return {"training": trial(0, 0.5, 10).task.training.model_copy(update={"batch_size": size})}


def test_a_million_multiply_accumulates_are_one_and_training_takes_three_passes() -> None:
    """Ten whole batches of 64, the rest of the samples is left out, and a pass for validation."""
    grown = COST(record(macs=3_000_000, **with_batch(64)), 1) - COST(record(**with_batch(64)), 1)
    assert grown == pytest.approx(3 * 640 + 100)


@pytest.mark.parametrize(
    ("tuning", "passes"),
    [
        (FineTuning(freeze="backbone"), 1),
        (FineTuning(head_epochs=4), (4 * 1 + 6 * 3) / 10),
        (FineTuning(pretrained_lr=0.1), 3),
    ],
)
def test_where_the_head_alone_is_trained_nothing_else_goes_backwards(
    tuning: FineTuning, passes: float
) -> None:
    training = with_batch(64)["training"].model_copy(update={"epochs": 10, "fine_tuning": tuning})
    grown = COST(record(macs=3_000_000, training=training), 1) - COST(record(training=training), 1)
    assert grown == pytest.approx(passes * 640 + 100)


def test_a_network_of_no_size_is_not_free() -> None:
    alone = COST(record(macs=0, **with_batch(64)), 1)
    assert alone == pytest.approx(10 * STEP + PLACE * 64 * (640 + 100 / 3))


def test_a_network_that_was_wider_in_its_training_costs_as_much_more() -> None:
    wider = record().model_copy(update={"widening": 2.5})
    assert COST(wider, 1) == COST(record(macs=5_000_000), 1)


def test_costs_grow_with_epochs_and_fall_with_the_batch() -> None:
    assert COST(record(), 6) == pytest.approx(6 * COST(record(), 1))
    small, large = (COST(record(**with_batch(size)), 1) for size in (16, 64))
    assert small > large


def test_what_terms_add_adds_up() -> None:
    at, crd = METHODS["at"].relative_cost, METHODS["crd"].relative_cost
    assert relative_cost("none") == 1
    assert relative_cost("at") == at
    assert relative_cost("kd+at+crd") == pytest.approx(at + crd - 1)


def test_two_students_cost_twice_and_answers_of_their_own_like_a_pass_more() -> None:
    size = with_batch(64)
    validation = COST(record(**size), 1) - _trained(record(**size))
    kd = _trained(record("kd", teacher="teacher", **size))
    born = COST(record("kd", teacher="born_again", **size), 1) - validation
    mutual = COST(record("kd", teacher="mutual", **size), 1) - validation
    assert born - kd == pytest.approx((2 + PLACE / 3 * 64) * 640)
    assert mutual == pytest.approx(2 * born)


def _trained(one: TrialRecord) -> float:
    """The cost of the steps alone: what is left without a validation split."""
    return TrialCost(COST.samples, 0, COST.places)(one, 1)


def test_methods_are_in_the_order_of_their_measured_seconds() -> None:
    """docs/measurements/methods.md's table, those that take at least half as long again as kd."""
    slow = ["simkd", "fsp", "ofd", "crd", "reviewkd", "semckd"]
    seconds = [13, 16, 26, 38, 52, 169]
    assert seconds == sorted(seconds)
    costs = [relative_cost(name) for name in slow]
    assert costs == sorted(costs)
    assert relative_cost("kd") < costs[0]


class Free(KD):
    relative_cost = 0.0


class Plain(KD):
    pass


def test_a_method_of_your_own_costs_nothing_more_unless_it_says_so() -> None:
    assert relative_cost(f"{__name__}:Plain") == 1


def test_a_cost_that_is_none_is_refused() -> None:
    with pytest.raises(MethodError, match=r"has the relative_cost 0\.0; give one above 0"):
        find_method(f"{__name__}:Free")
