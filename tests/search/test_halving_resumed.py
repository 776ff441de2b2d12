"""Searches by halving that were cut off or extended: they decide as whole ones do."""

from __future__ import annotations

import random

import pytest
from optuna.trial import TrialState

from kdsearch.results.record import TrialRecord
from kdsearch.search.study_run import stopped
from kdsearch.spec import StudySpec
from tests.search.halved import RUNGS, Definition, Pick, by_number, drive, noted, searched
from tests.search.test_loop import first, last, make_jobs


def test_the_order_in_which_epochs_end_changes_no_decision(halving_spec: StudySpec) -> None:
    shuffled = random.Random(0)
    orders: list[tuple[int, Pick]] = [
        (1, first),
        (2, first),
        (2, last),
        (2, shuffled.choice),
    ]
    runs = [by_number(drive(make_jobs(halving_spec)[0], count, pick)) for count, pick in orders]
    states = [record.status for record in runs[0]]
    assert len(states) == 40
    assert set(states) == {"complete", "paused", "failed"}
    assert all(run == runs[0] for run in runs)


@pytest.mark.parametrize("cut", [3, 12, 25, 40])
def test_a_search_that_was_cut_off_decides_as_it_would_have(
    halving_spec: StudySpec, cut: int
) -> None:
    whole = by_number(drive(make_jobs(halving_spec)[0], 2, first))
    ended = drive(make_jobs(halving_spec)[0], 2, last, cut)
    finished = {record.number: record for record in ended}
    rest = drive(make_jobs(halving_spec, finished)[0], 2, first)
    assert by_number([*ended, *rest]) == whole
    handed = [(record.number, len(record.epochs)) for record in [*ended, *rest]]
    assert len(handed) == len(set(handed)), "a stage was trained twice"


def test_a_finished_search_is_over_at_once(halving_spec: StudySpec) -> None:
    known = searched(halving_spec, {})
    jobs, study = make_jobs(halving_spec, known)
    assert drive(jobs, 2, first) == []
    assert stopped(known.values()) == []
    states = {trial.state for trial in study.trials}
    assert states == {TrialState.COMPLETE, TrialState.FAIL, TrialState.RUNNING}


def test_with_more_trials_those_that_were_stopped_go_on_where_they_deserve_it(
    halving_spec: StudySpec,
) -> None:
    before = searched(halving_spec, {})
    search = halving_spec.search.model_copy(update={"trials": 60})
    longer = halving_spec.model_copy(update={"search": search})
    jobs, _ = make_jobs(longer, before)
    handed = noted(jobs)
    after = before | {record.number: record for record in drive(jobs, 2, first)}
    course = Definition(longer, [after[number] for number in range(60)]).course()
    trained = {(number, 0) for number in before} | {
        (record.number, rung)
        for record in before.values()
        for rung in RUNGS
        if len(record.epochs) > rung or (record.status == "failed" and record.epochs)
    }
    assert handed == [stage for stage in course if stage not in trained]
    going = {number for number, _ in handed if number < 40}
    assert going
    assert {before[number].status for number in going} == {"stopped"}
    waiting = {record.number for record in after.values() if record.status == "stopped"}
    assert not waiting & {record.number for record in stopped(after.values())}


@pytest.mark.parametrize("cut", [3, 12, 25])
@pytest.mark.parametrize("deterministic", [True, False])
def test_trials_that_were_cut_off_go_on_from_their_checkpoints(
    halving_spec: StudySpec, cut: int, deterministic: bool
) -> None:
    """Two at a time are lost with all epochs but the last, as kept by their checkpoints."""
    whole = by_number(drive(make_jobs(halving_spec)[0], 2, first))
    running: list[TrialRecord] = []
    jobs, _ = make_jobs(halving_spec, deterministic=deterministic)
    ended = drive(jobs, 2, random.Random(cut).choice, cut, running)
    finished = {record.number: record for record in [*ended, *running]}
    assert running
    jobs, _ = make_jobs(halving_spec, finished, deterministic=deterministic)
    handed = noted(jobs)
    rest = drive(jobs, 2, first)
    assert {(each.number, len(each.epochs)) for each in running} <= set(handed)
    if deterministic:
        assert by_number([*ended, *rest]) == whole
    else:
        assert handed[: len(running)] == [
            (number, len(finished[number].epochs))
            for number in sorted(each.number for each in running)
        ]
        everything = by_number([*ended, *rest])
        assert [record.number for record in everything] == list(range(40))
        assert {record.status for record in everything} == {"complete", "paused", "failed"}


@pytest.mark.parametrize("cut", [1, 7, 25, 40])
def test_as_outcomes_come_a_search_of_one_trial_at_a_time_goes_on_as_it_would_have(
    halving_spec: StudySpec, cut: int
) -> None:
    whole = by_number(drive(make_jobs(halving_spec, deterministic=False)[0], 1, first))
    running: list[TrialRecord] = []
    ended = drive(make_jobs(halving_spec, deterministic=False)[0], 1, first, cut, running)
    finished = {record.number: record for record in [*ended, *running]}
    rest = drive(make_jobs(halving_spec, finished, deterministic=False)[0], 1, first)
    assert by_number([*ended, *rest]) == whole
