"""What judges the front: seeds, tuned baselines by successive halving, each training once."""

from __future__ import annotations

import pytest

from kdsearch.results.judging import Judging
from kdsearch.search.judging_jobs import JudgingJobs
from kdsearch.spec import StudySpec, parse_spec
from tests.results.judged import (
    BLUEPRINTS,
    EPOCHS,
    SEARCHED,
    by_task,
    distilled,
    judged,
    members,
    quality,
    run_all,
    spec_of,
    trial_of,
)


@pytest.fixture
def spec(spec_text: str) -> StudySpec:
    return spec_of(spec_text)


@pytest.mark.parametrize("at_a_time", [1, 3, 40])
@pytest.mark.parametrize("latest_first", [False, True])
def test_the_choice_is_the_same_at_any_speed(
    spec: StudySpec, at_a_time: int, latest_first: bool
) -> None:
    jobs = JudgingJobs(Judging(spec, members(), SEARCHED, {}), {}, BLUEPRINTS)
    found = by_task(run_all(jobs, at_a_time, latest_first))
    expected = judged(spec)
    assert {k: (r.number, r.epochs) for k, r in found.items()} == {
        k: (r.number, r.epochs) for k, r in expected.items()
    }


def test_the_next_best_takes_the_place_of_one_that_fails(spec: StudySpec) -> None:
    judging = Judging(spec, members()[:1], SEARCHED, {})
    (sweep,) = judging.baselines.sweeps.values()
    best = sorted(sweep.trainings, key=lambda each: -quality(trial_of(each.task)))
    jobs = JudgingJobs(judging, {}, BLUEPRINTS)
    found = by_task(run_all(jobs, failing={best[0].key, best[1].key}))
    (finalist,) = judging.finalists(found)
    assert {r.task.training.lr for r in finalist.baseline} == {best[2].task.training.lr}
    everyone = {each.key for each in sweep.trainings}
    jobs = JudgingJobs(judging, {}, BLUEPRINTS)
    (finalist,) = judging.finalists(by_task(run_all(jobs, failing=everyone)))
    assert finalist.baseline == ()
    assert len(finalist.runs) == spec.finalists.seeds


def test_a_member_without_a_teacher_is_its_own_baseline(spec: StudySpec) -> None:
    known = judged(spec)
    last = Judging(spec, members(), SEARCHED, known).finalists(known)[-1]
    assert last.runs == last.baseline
    assert last.gain.count == 0


def test_the_sweep_never_sees_the_test_and_each_training_happens_once(spec: StudySpec) -> None:
    judging = Judging(spec, members(), SEARCHED, {})
    reported = run_all(JudgingJobs(judging, {}, BLUEPRINTS))
    ended = by_task(reported).values()
    assert len(ended) == judging.total == len({record.number for record in ended})
    ends = [(record.task.key, len(record.epochs)) for record in reported]
    assert len(set(ends)) == len(ends)
    search = next(iter(judging.baselines.sweeps.values())).trainings[0].task
    for record in ended:
        assert (record.test is not None) <= (record.phase == "finalists")
        for name in ("seed", "views_seed"):
            same = getattr(record.task, name) == getattr(search, name)
            assert same == (record.phase == "baselines")


def test_members_with_one_student_share_a_baseline(spec: StudySpec) -> None:
    twins = [distilled(0, 0.5, 10, 0.5, 0.03), distilled(1, 0.6, 10, 0.5, 0.1, "dist")]
    judging = Judging(spec, twins, SEARCHED, {})
    known = by_task(run_all(JudgingJobs(judging, {}, BLUEPRINTS)))
    first, second = judging.finalists(known)
    assert first.baseline == second.baseline
    assert len(known) == judging.total
    # as many points as the method with more trials had, and the twins' own
    assert judging.total == 11 + 2 + 3 * spec.finalists.seeds


def test_where_nothing_is_searched_there_is_nothing_to_tune(spec_text: str) -> None:
    fixed = ["training.lr=0.1", "training.weight_decay=5.0e-4", f"training.epochs={EPOCHS}"]
    spec = parse_spec(spec_text, fixed)
    judging = Judging(spec, [distilled(0, 0.5, 10, 0.5, 0.1)], SEARCHED, {})
    known = by_task(run_all(JudgingJobs(judging, {}, BLUEPRINTS)))
    assert len(known) == judging.total == 2 * spec.finalists.seeds
    assert {record.phase for record in known.values()} == {"finalists"}
