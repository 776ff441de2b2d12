"""When an outcome counts: by what was handed out, and by nothing else."""

from __future__ import annotations

from kdsearch.search.clock import FeedbackClock
from tests.records import trial


def due(agenda: FeedbackClock) -> list[int]:
    return [record.number for record in agenda.due()]


def test_of_equal_trainings_the_outcome_counts_two_rounds_later() -> None:
    """With three workers the trial proposed as number k knows those up to k - 6."""
    agenda, known = FeedbackClock(3), []
    for number in range(20):
        known += due(agenda)
        assert known == list(range(number - 5))
        agenda.hand_out(trial(number, 0.5, 10), 27)


def test_a_long_training_counts_later_than_short_ones_after_it() -> None:
    agenda = FeedbackClock(2)
    agenda.hand_out(trial(0, 0.5, 10), 18)
    order = []
    for number in range(1, 30):
        agenda.hand_out(trial(number, 0.5, 10), 3)
        order += due(agenda)
    # it is due at 4 · 18 = 72, number n at 18 + 3 (n - 1) + 12: as number 15, which came later
    assert order.index(0) == 14
    assert [number for number in order if number] == list(range(1, 27))


def test_what_is_not_there_yet_is_met_again() -> None:
    agenda = FeedbackClock(1)
    for number in range(4):
        agenda.hand_out(trial(number, 0.5, 10), 1)
    for record in agenda.due():
        if record.number == 1:
            break
    assert due(agenda) == [1, 2]
    assert due(agenda) == []


def test_skipping_goes_from_one_to_the_next_until_none_is_left() -> None:
    agenda = FeedbackClock(2)
    for number, epochs in enumerate((5, 1, 2)):
        agenda.hand_out(trial(number, 0.5, 10), epochs)
    seen = []
    while agenda.skip():
        seen.append(due(agenda))
    # due at 20, 5 + 4 = 9 and 6 + 8 = 14
    assert seen == [[1], [2], [0]]
