"""Judging that was cut off or extended goes on to the end of one that was not."""

from __future__ import annotations

import pytest

from kdsearch.results.judging import Judging
from kdsearch.search.judging_jobs import JudgingJobs
from kdsearch.search.study_run import stopped
from kdsearch.spec import StudySpec
from tests.results.judged import (
    BLUEPRINTS,
    SEARCHED,
    by_task,
    distilled,
    members,
    run_all,
    search_of,
    spec_of,
)


@pytest.fixture
def spec(spec_text: str) -> StudySpec:
    return spec_of(spec_text)


@pytest.mark.parametrize("stop", [1, 7, 14, 20, 26, 29])
@pytest.mark.parametrize("over", [False, True])
def test_judging_that_was_cut_off_goes_on_to_the_same_end(
    spec: StudySpec, stop: int, over: bool
) -> None:
    """Cut off after any stage; also, as every study ends, with those that waited stopped."""
    whole = run_all(JudgingJobs(Judging(spec, members(), SEARCHED, {}), {}, BLUEPRINTS))
    jobs = JudgingJobs(Judging(spec, members(), SEARCHED, {}), {}, BLUEPRINTS)
    known = by_task(run_all(jobs, stop=None if over else stop))
    if over:
        waiting = stopped(known.values())
        assert all(record.status == "paused" for record in known.values() if not record.ended)
        assert len(waiting) == sum(record.status == "paused" for record in known.values())
        known |= by_task(waiting[:stop])
    judging = Judging(spec, members(), SEARCHED, known)
    jobs = JudgingJobs(judging, known, BLUEPRINTS)
    rest = run_all(jobs)
    found = known | by_task(rest)
    assert bool(rest) == (not over)
    assert {k: (r.number, r.epochs) for k, r in found.items()} == {
        k: (r.number, r.epochs) for k, r in by_task(whole).items()
    }
    jobs_left = [record for record in found.values() if record.status == "paused"]
    assert {r.number for r in stopped(found.values())} == {r.number for r in jobs_left}
    assert len(judging.done(known)) == len(known)


def test_a_study_that_was_extended_keeps_what_is_still_wanted(spec: StudySpec) -> None:
    jobs = JudgingJobs(Judging(spec, members(), SEARCHED, {}), {}, BLUEPRINTS)
    known = by_task(run_all(jobs))
    known |= by_task(stopped(known.values()))
    grown = [*members()[1:], distilled(9, 0.9, 50, 2.0, 0.05)]
    judging = Judging(spec, grown, SEARCHED + search_of(kd=4, dist=9), known)
    rest = by_task(run_all(JudgingJobs(judging, known, BLUEPRINTS)))
    assert not {key for key in rest if known.get(key) and known[key].over}
    taken = {record.number for record in known.values()}
    assert not {record.number for key, record in rest.items() if key not in known} & taken
    found = known | rest
    assert all(finalist.baseline for finalist in judging.finalists(found))


def test_with_more_trials_those_of_a_sweep_that_were_stopped_go_on_where_they_deserve_it(
    spec: StudySpec,
) -> None:
    """A sweep of 6, of which two go on from the first rung, is one of 12, of which four do."""
    few, many = search_of(kd=5), search_of(kd=11)
    known = by_task(run_all(JudgingJobs(Judging(spec, members()[:1], few, {}), {}, BLUEPRINTS)))
    known |= by_task(stopped(known.values()))
    before = {key for key, record in known.items() if record.status == "stopped"}
    judging = Judging(spec, members()[:1], many, known)
    rest = by_task(run_all(JudgingJobs(judging, known, BLUEPRINTS)))
    new = Judging(spec, members()[:1], many, {})
    afresh = by_task(run_all(JudgingJobs(new, {}, BLUEPRINTS)))
    assert before & rest.keys()
    found = known | rest
    for key, record in afresh.items():
        if record.phase == "baselines":
            assert len(found[key].epochs) >= len(record.epochs)
    (grown,), (whole,) = judging.finalists(found), new.finalists(afresh)
    assert [run.task for run in grown.baseline] == [run.task for run in whole.baseline]
