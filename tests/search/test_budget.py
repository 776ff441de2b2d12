"""Budgets: epochs to the last one and alike at any speed, wall clock and device-hours."""

from __future__ import annotations

import random

import pytest

from kdsearch.errors import SpecError
from kdsearch.execution.jobs import NoMoreJobs
from kdsearch.results.cost import trial_lengths
from kdsearch.results.record import TrialRecord
from kdsearch.search.budget import Budget
from kdsearch.space.checks import make_plan
from kdsearch.spec import StudySpec, parse_spec
from tests.search.halved import EPOCHS, WORDS, by_number, drive
from tests.search.test_loop import first, last, make_jobs


def epochs_of(records: list[TrialRecord]) -> int:
    return sum(len(record.epochs) for record in records)


def halving(spec_text: str, limit: int, *more: str) -> StudySpec:
    return parse_spec(spec_text, [*WORDS, f"search.max_epochs={limit}", *more])


@pytest.mark.parametrize("limit", [9, 40, 100])
def test_epochs_are_never_exceeded_and_another_trial_would_not_fit(
    spec_text: str, limit: int
) -> None:
    shuffled = random.Random(0)
    runs = []
    for count, pick in ((1, first), (2, last), (2, shuffled.choice)):
        jobs, _ = make_jobs(halving(spec_text, limit))
        runs.append(by_number(drive(jobs, count, pick)))
        assert jobs.spent == f"search.max_epochs ({limit}) leave no room for another trial"
    assert runs[0] == runs[1] == runs[2]
    spent = epochs_of(runs[0])
    assert spent <= limit < spent + EPOCHS


def test_a_search_that_was_cut_off_keeps_to_its_epochs(spec_text: str) -> None:
    spec = halving(spec_text, 80)
    whole = by_number(drive(make_jobs(spec)[0], 2, first))
    ended = drive(make_jobs(spec)[0], 2, last, cut=5)
    finished = {record.number: record for record in ended}
    rest = drive(make_jobs(spec, finished)[0], 2, first)
    assert by_number([*ended, *rest]) == whole


@pytest.mark.parametrize("limit", [40, 100])
def test_as_outcomes_come_epochs_are_counted_over_a_resume(spec_text: str, limit: int) -> None:
    spec = halving(spec_text, limit)
    running: list[TrialRecord] = []
    jobs, _ = make_jobs(spec, deterministic=False)
    ended = drive(jobs, 2, random.Random(0).choice, 6, running)
    assert running
    finished = {record.number: record for record in [*ended, *running]}
    jobs, _ = make_jobs(spec, finished, deterministic=False)
    spent = epochs_of(by_number([*ended, *drive(jobs, 2, first)]))
    assert spent <= limit < spent + EPOCHS


def test_more_epochs_than_all_trials_take_change_nothing(spec_text: str) -> None:
    free = drive(make_jobs(parse_spec(spec_text, WORDS))[0], 2, first)
    jobs, _ = make_jobs(halving(spec_text, 40 * EPOCHS))
    assert drive(jobs, 2, first) == free
    assert jobs.spent is None


def test_device_hours_are_those_of_all_trials(spec_text: str) -> None:
    """Trials of one second an epoch: an hour of two cores is 1,800 such epochs."""
    words = ["search.max_device_hours=1", "resources.cpus_per_trial=2"]
    budget = Budget(parse_spec(spec_text, words))
    for _ in range(1_799):
        budget.count(1.0)
    assert budget.out_of_time() is None
    budget.count(1.0)
    assert budget.out_of_time() == "search.max_device_hours (1) are spent"


def test_wall_clock_goes_on_after_a_resume(spec_text: str) -> None:
    kept: list[float] = []
    spec = parse_spec(spec_text, ["search.max_hours=0.5"])
    budget = Budget(spec, 1_700.0, kept.append)
    assert budget.out_of_time() is None
    budget.count(1.0)
    assert kept == [pytest.approx(1_700, abs=60)]
    assert Budget(spec, 1_800.0).out_of_time() == "search.max_hours (0.5) are spent"


def test_a_search_whose_time_is_over_proposes_nothing(spec_text: str) -> None:
    spec = parse_spec(spec_text, [*WORDS, "search.max_device_hours=0.01"])
    records = drive(make_jobs(spec)[0], 2, first)
    # 36 epochs of a second are spent when the last trial is begun, and another may be running
    assert 36 <= epochs_of(records) <= 36 + 2 * EPOCHS


def test_a_training_that_hangs_does_not_hold_up_the_end_of_the_time(spec_text: str) -> None:
    """Its outcome is due, and never there."""
    spec = parse_spec(spec_text, ["search.max_device_hours=0.01", "resources.concurrent=2"])
    jobs, _ = make_jobs(spec)
    begun = list(iter(jobs.next, None))
    epochs = ({"epoch": 1.0, "seconds": 40.0, "accuracy": 0.5},)
    for other in begun[1:]:
        assert isinstance(other, TrialRecord)
        jobs.ended(other.model_copy(update={"status": "complete", "epochs": epochs}))
    with pytest.raises(NoMoreJobs):
        jobs.next()
    assert jobs.spent == "search.max_device_hours (0.01) are spent"


def test_a_trial_may_have_forebears(spec_text: str) -> None:
    words = ["training.epochs=3", "teaching={by: [teacher, born_again], generations: 2}"]
    assert max(trial_lengths(parse_spec(spec_text, words))) == 9
    assert max(trial_lengths(parse_spec(spec_text, words[:1]))) == 3


def test_a_budget_that_holds_no_trial_is_refused(spec_text: str) -> None:
    spec = parse_spec(spec_text, ["training.epochs=4", "search.max_epochs=3"])
    with pytest.raises(SpecError, match=r"one trial may take 4 epochs, more than search\.max_ep"):
        make_plan(spec)
