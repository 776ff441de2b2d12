"""The front and the hypervolume against brute force."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdsearch.results.front import hypervolume, near_front, pareto_front, spread
from kdsearch.results.objectives import Objectives
from kdsearch.results.record import TrialRecord
from tests.records import trial

points = st.lists(
    st.tuples(st.sampled_from([0.1, 0.5, 0.52, 0.9, 0.99]), st.integers(1, 30)),
    min_size=1,
    max_size=12,
)


def brute_front(pairs: list[tuple[float, int]]) -> set[tuple[float, int]]:
    def beaten(one: tuple[float, int]) -> bool:
        return any(other != one and other[0] >= one[0] and other[1] <= one[1] for other in pairs)

    return {pair for pair in pairs if not beaten(pair)}


@given(points)
def test_front_is_what_no_other_trial_beats(pairs: list[tuple[float, int]]) -> None:
    records = [trial(n, accuracy, size) for n, (accuracy, size) in enumerate(pairs)]
    members = pareto_front(records, Objectives())
    found = [(record.scores["accuracy"], record.parameter_count) for record in members]
    assert set(found) == brute_front(pairs)
    assert len(found) == len(set(found))
    assert [size for _, size in found] == sorted(size for _, size in found)


def test_failed_trials_are_never_on_the_front() -> None:
    assert pareto_front([trial(0, None, 1)], Objectives()) == []
    members = pareto_front([trial(0, None, 1), trial(1, 0.5, 10)], Objectives())
    assert [member.number for member in members] == [1]


@given(points)
def test_hypervolume_is_the_dominated_share_of_the_square(pairs: list[tuple[float, int]]) -> None:
    largest = 20
    records = [trial(n, accuracy, size) for n, (accuracy, size) in enumerate(pairs)]
    # sweep over the error axis: at each error the best relative log size reached
    edges = sorted({1 - accuracy for accuracy, _ in pairs} | {1.0})
    area = 0.0
    for left, right in pairwise(edges):
        sizes = [s for accuracy, s in pairs if 1 - accuracy <= left + 1e-12]
        best = min(math.log(size) / math.log(largest) for size in sizes)
        area += (right - left) * max(0.0, 1.0 - best)
    assert hypervolume(records, Objectives(), [largest]) == pytest.approx(area, abs=1e-9)


def test_hypervolume_of_nothing_is_zero() -> None:
    assert hypervolume([], Objectives(sizes=("macs",)), [100]) == 0.0
    assert hypervolume([trial(0, None, 1)], Objectives(sizes=("macs",)), [100]) == 0.0


def test_spread_keeps_both_ends_and_is_even_in_log_size() -> None:
    members = [trial(n, 0.1 * n, 10**n) for n in range(1, 10)]
    chosen = [member.number for member in spread(members, 3, "parameters")]
    assert chosen == [1, 5, 9]
    assert spread(members, 20, "parameters") == members
    assert [m.number for m in spread(members, 1, "parameters")] == [9]
    sizes = np.log([m.parameter_count for m in spread(members, 5, "parameters")])
    assert np.allclose(np.diff(sizes), np.diff(sizes)[0])


def test_near_the_front_is_what_another_draw_of_images_might_put_there() -> None:
    """At an error of 0.2 on 400 images a standard error is 0.02."""
    records = [
        trial(0, 0.8, 100),
        trial(1, 0.9, 1000),
        trial(2, 0.79, 100),
        trial(3, 0.785, 500),  # the rival is trial 0, not the larger 1
        trial(4, 0.775, 500),  # 0.025 below it
        trial(5, 0.89, 2000),  # 0.01 below trial 1, whose standard error is 0.015
        trial(6, 0.87, 2000),
        trial(7, None, 100),
    ]
    members = pareto_front(records, Objectives())
    assert [member.number for member in members] == [0, 1]
    near = near_front(records, members, Objectives(), 400)
    assert {record.number for record in near} == {2, 3, 5}
    assert near[-1].number == 3
    assert near_front(records, [], Objectives(), 400) == []
    assert near_front(records, members, Objectives(), 10**8) == []


def test_near_a_front_of_likelihoods_is_within_its_members_own_errors() -> None:
    def told(number: int, nll: float, error: float | None, size: int) -> TrialRecord:
        known = {} if error is None else {"nll_error": error}
        record = trial(number, 0.5, size)
        return record.model_copy(update={"epochs": ({"nll": nll, "seconds": 1.0, **known},)})

    objectives = Objectives("nll")
    records = [
        told(0, 0.5, 0.1, 100),
        told(1, 0.59, 0.3, 100),
        told(2, 0.61, 0.3, 100),
        told(3, 0.2, None, 1000),  # of an earlier kdsearch
        told(4, 0.2, 0.1, 2000),
    ]
    members = pareto_front(records, objectives)
    assert [member.number for member in members] == [0, 3]
    assert [each.number for each in near_front(records, members, objectives, 400)] == [1]
