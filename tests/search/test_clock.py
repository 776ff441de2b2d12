"""When an outcome counts: by what was handed out alone, or as soon as it is there."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest

from kdsearch.results.record import TrialRecord
from kdsearch.search.clock import (
    SLACK,
    ArrivalClock,
    Clock,
    FeedbackClock,
    is_deterministic,
    margin_of,
    order_told,
)
from kdsearch.spec import parse_spec
from tests.records import trial


def due(clock: Clock) -> list[int]:
    return [record.number for record in clock.due()]


def hand_out(clock: Clock, *costs: float) -> None:
    for number, cost in enumerate(costs):
        clock.hand_out(trial(number, 0.5, 10), cost)


def test_equal_trainings_of_one_worker_count_in_their_order_some_rounds_later() -> None:
    clock, known = FeedbackClock(1), []
    for number in range(20):
        known += due(clock)
        # number k begins at time k and is due SLACK and half a mean later
        assert known == [k for k in range(number) if k + SLACK + 0.5 <= number]
        clock.hand_out(trial(number, 0.5, 10), 1.0)


def test_the_margin_grows_with_the_workers_within_bounds() -> None:
    assert [margin_of(workers) for workers in (1, 4, 8, 16, 1_000)] == [0.25, 0.25, 1, 2, 2]


def test_nothing_is_due_while_imagined_workers_are_free() -> None:
    clock = FeedbackClock(5)
    for number, cost in enumerate([100.0, 1.0, 1.0, 1.0]):
        clock.hand_out(trial(number, 0.5, 10), cost)
        assert due(clock) == []


@pytest.mark.parametrize("workers", [1, 3, 8, 24])
def test_what_is_due_is_that_of_workers_who_take_what_was_predicted(workers: int) -> None:
    """Each training begins on the first free of so many lanes, laid out here one by one."""
    costs = np.random.default_rng(workers).lognormal(0, 1, 200)
    lanes, dues = [0.0] * workers, []
    clock, known = FeedbackClock(workers), []
    for number, cost in enumerate(costs):
        begin = min(lanes)
        known += due(clock)
        assert sorted(known) == [k for k, at in enumerate(dues) if at <= begin]
        assert [dues[k] for k in known] == sorted(dues[k] for k in known)
        clock.hand_out(trial(number, 0.5, 10), cost)
        lanes[lanes.index(begin)] = begin + cost
        dues.append(begin + SLACK * cost + margin_of(workers) * costs[: number + 1].mean())
    assert 0 < len(known) < 200


def test_a_long_training_counts_later_than_short_ones_after_it() -> None:
    clock = FeedbackClock(2)
    hand_out(clock, 100.0, *([1.0] * 40))
    known = due(clock)
    assert 0 not in known
    assert 20 in known


def test_what_is_not_there_yet_is_met_again() -> None:
    clock = FeedbackClock(1)
    hand_out(clock, *([1.0] * 6))
    assert [record.number for record in islice(clock.due(), 2)] == [0, 1]
    assert due(clock) == [1, 2, 3, 4]
    assert due(clock) == []


def test_skipping_goes_from_one_to_the_next_until_none_is_left() -> None:
    clock = FeedbackClock(4)
    hand_out(clock, 5.0, 1.0, 2.0)
    seen = []
    while clock.skip():
        seen.append(due(clock))
    assert seen == [[1], [2], [0]]


def test_after_a_skip_trainings_begin_no_earlier_than_what_counts_by_then() -> None:
    clock = FeedbackClock(2)
    hand_out(clock, 10.0)
    clock.skip()
    assert due(clock) == [0]
    clock.hand_out(trial(1, 0.5, 10), 10.0)
    clock.hand_out(trial(2, 0.5, 10), 1.0)
    # had number 2 begun at 0, when its worker was free, it would be due by now
    assert due(clock) == []
    clock.skip()
    assert due(clock) == [2]


def test_as_they_come_an_outcome_counts_once_it_is_there() -> None:
    there: set[int] = set()

    def has_outcome(record: TrialRecord) -> bool:
        return record.number in there

    clock = ArrivalClock(has_outcome)
    hand_out(clock, 1.0, 50.0, 2.0)
    assert due(clock) == []
    there.add(2)
    assert due(clock) == [2]
    assert due(clock) == []
    # nothing to hand out: one that is not there is met, so that it is waited for
    assert clock.skip()
    assert next(clock.due()).number == 0
    there.update({0, 1})
    assert due(clock) == [0, 1]
    assert not clock.skip()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["resources.concurrent=1"], True),
        (["resources.concurrent=32"], True),
        (["resources.concurrent=33"], False),
        (["resources.concurrent=8", "resources.gpus_per_trial=0.5"], True),
        (["resources.concurrent=9", "resources.gpus_per_trial=0.5"], False),
        (["resources.concurrent=2", "search.deterministic=false"], False),
        (["resources.concurrent=500", "search.deterministic=true"], True),
    ],
)
def test_the_order_is_as_asked_or_by_the_number_of_workers(
    spec_text: str, words: list[str], expected: bool
) -> None:
    assert is_deterministic(parse_spec(spec_text, words)) is expected


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "repeats to the digit on one kind of machine; workers wait for outcomes at most a"),
        (
            ["search.size=[parameters, latency]"],
            "after any kill; it does not repeat to the digit all the",
        ),
        (["resources.concurrent=40"], "order: as outcomes come, so that the study does not"),
        (
            ["resources.concurrent=40", "search.deterministic=true"],
            "wait for outcomes with so many maybe more than a tenth of their time",
        ),
        (["search.strategy=ladder"], "a student of a chain waits for its wider neighbour"),
    ],
)
def test_the_order_and_its_price_are_told(spec_text: str, words: list[str], told: str) -> None:
    assert told in order_told(parse_spec(spec_text, words))
