"""What judges the front: seeds, tuned baselines by successive halving, each training once."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from itertools import count

import numpy as np
import pytest

from kdsearch.execution.jobs import NoMoreJobs
from kdsearch.models import of_images
from kdsearch.results.cost import CostOf, TrialCost
from kdsearch.results.judging import Judging, affordable, planned_trainings
from kdsearch.results.record import TrialRecord
from kdsearch.results.sweep import sweep_epochs, sweep_points
from kdsearch.search.judging_jobs import JudgingJobs
from kdsearch.search.study_run import stopped
from kdsearch.space.architectures import Architectures
from kdsearch.spec import MethodConfig, StudySpec, TermConfig, parse_spec
from kdsearch.spec.sections import FinalistsSection
from kdsearch.training.task import Task
from tests.records import TASK, trial

BLUEPRINTS = Architectures(of_images((1, 8, 8)), 10)
EPOCHS = 9  # rungs after 1 and 3


@pytest.fixture
def spec(spec_text: str) -> StudySpec:
    box = "training.weight_decay={low: 1.0e-5, high: 1.0e-3, log: true}"
    return parse_spec(spec_text, [f"training.epochs={EPOCHS}", box])


def epochs_alone(_: TrialRecord, epochs: float) -> float:
    return epochs


def distilled(
    number: int, accuracy: float, size: int, width: float, lr: float, label: str = "kd"
) -> TrialRecord:
    term = TermConfig(name="kd", hyperparameters={"temperature": 4.0, "weight": 0.9})
    training = TASK.training.model_copy(update={"lr": lr, "epochs": EPOCHS})
    task = TASK.model_copy(
        update={
            "method": MethodConfig(label=label, terms=(term,)),
            "model": TASK.model.model_copy(update={"width": width}),
            "training": training,
        }
    )
    return trial(number, accuracy, size).model_copy(update={"task": task})


def members() -> list[TrialRecord]:
    last = trial(2, 0.7, 30)
    training = last.task.training.model_copy(update={"epochs": EPOCHS})
    model = last.task.model.model_copy(update={"width": 0.8})
    task = last.task.model_copy(update={"training": training, "model": model})
    return [
        distilled(0, 0.5, 10, 0.5, 0.03),
        distilled(1, 0.6, 20, 1.0, 0.1, "dist"),
        last.model_copy(update={"task": task}),
    ]


def search_of(**trials: int) -> list[TrialRecord]:
    """Records of a search in which each method had so many trials."""
    numbers = count(100)
    return [
        distilled(next(numbers), 0.1, 10, 0.5, 0.1, label)
        for label, many in trials.items()
        for _ in range(many)
    ]


SEARCHED = search_of(kd=11, dist=5, none=3)


def quality(record: TrialRecord) -> float:
    """Made up: what a training without a teacher reaches, best at one rate and decay."""
    training = record.task.training
    rate, decay = math.log10(training.lr / 0.1), math.log10(training.weight_decay / 1e-4)
    return 0.9 - 0.2 * rate**2 - 0.05 * decay**2


def advance(record: TrialRecord, until: int | None, failing: Collection[str]) -> TrialRecord:
    """A made-up training up to a rung or its end, whose validation scores approach its quality."""
    if record.task.key in failing:
        return record.model_copy(update={"status": "failed", "reason": "made up"})
    best, end = quality(record), until or EPOCHS
    epochs = tuple(
        {
            "accuracy": best * epoch / EPOCHS,
            "averaged_accuracy": best * (epoch + 1) / (EPOCHS + 1),
            "nll": 2 - best,
            "averaged_nll": 2 - best,
            "epoch": float(epoch),
            "seconds": 1.0,
        }
        for epoch in range(1, end + 1)
    )
    status = "complete" if until is None else "paused"
    over = until is None and record.phase == "finalists"
    test = {"accuracy": best - 0.1, "nll": 2 - best} if over else None
    return record.model_copy(update={"status": status, "epochs": epochs, "test": test})


def run_all(
    jobs: JudgingJobs,
    at_a_time: int = 2,
    latest_first: bool = True,
    failing: Collection[str] = (),
    stop: int | None = None,
) -> list[TrialRecord]:
    """Run made-up trainings; every stage that came to its end, in order."""
    running: list[TrialRecord] = []
    reported: list[TrialRecord] = []
    while stop is None or len(reported) < stop:
        record = None
        try:
            record = jobs.next() if len(running) < at_a_time else None
        except NoMoreJobs:
            if not running:
                break
        if record is not None:
            assert record.status == "running"
            running.append(record)
            continue
        each = running.pop(-1 if latest_first else 0)
        done = advance(each, jobs.stage(each).until, failing)
        jobs.ended(done)
        reported.append(done)
    return reported


def by_task(records: Sequence[TrialRecord]) -> dict[str, TrialRecord]:
    """The latest record of each training."""
    return {record.task.key: record for record in records}


def searched_values(task: Task) -> tuple[float, ...]:
    training = task.training
    return training.lr, training.weight_decay, training.label_smoothing


def judged(spec: StudySpec) -> dict[str, TrialRecord]:
    return by_task(run_all(JudgingJobs(Judging(spec, members(), SEARCHED, {}), {}, BLUEPRINTS)))


def test_a_sweep_lies_in_the_box_of_the_search_and_spreads_over_it(spec: StudySpec) -> None:
    drawn = np.array(sweep_points(spec, 32))
    assert not drawn[:, 2].any()  # the smoothing, which is not searched
    points = np.log10(drawn[:, :2])
    low, high = np.log10([0.02, 1e-5]), np.log10([0.2, 1e-3])
    units = (points - low) / (high - low)
    assert units.shape == (32, 2)
    assert ((units >= 0) & (units <= 1)).all()
    # each eighth of both axes has points, which 32 random ones miss more often than not
    for axis in units.T:
        assert set((axis * 8).astype(int)) == set(range(8))
    assert abs(np.corrcoef(units.T)[0, 1]) < 0.3
    assert sweep_points(spec, 32)[:5] == sweep_points(spec, 5)


def test_choices_steps_and_fixed_values_are_kept(spec_text: str) -> None:
    given = ["training.lr={choices: [0.1, 0.2]}", "training.weight_decay=0.003"]
    points = sweep_points(parse_spec(spec_text, given), 20)
    assert sorted(points) == [(0.1, 0.003, 0.0), (0.2, 0.003, 0.0)]
    stepped = parse_spec(spec_text, ["training.lr={low: 0.1, high: 0.3, step: 0.1}"])
    rates = sorted({rate for rate, *_ in sweep_points(stepped, 50)})
    assert rates == pytest.approx([0.1, 0.2, 0.3])
    even = parse_spec(spec_text, ["training.lr={low: 0.0001, high: 0.9999}"])
    assert np.mean([rate for rate, *_ in sweep_points(even, 64)]) == pytest.approx(0.5, abs=0.05)


def test_a_searched_smoothing_is_a_third_axis_of_the_sweep(spec_text: str) -> None:
    box = ["training.label_smoothing={low: 0.0, high: 0.4}"]
    points = np.array(sweep_points(parse_spec(spec_text, box), 64))
    assert set((points[:, 2] * 20).astype(int)) == set(range(8))
    correlations = np.corrcoef(np.log10(points[:, 0]), points[:, 2])
    assert abs(correlations[0, 1]) < 0.3


def test_other_studies_have_other_points(spec: StudySpec) -> None:
    other = spec.model_copy(update={"study": spec.study.model_copy(update={"seed": 77})})
    assert not set(sweep_points(spec, 9)) & set(sweep_points(other, 9))


def test_a_baseline_is_tuned_from_as_many_configurations_as_the_method_had(
    spec: StudySpec,
) -> None:
    judging = Judging(spec, members(), SEARCHED, {})
    first, second = judging.sweeps.values()
    # 11 trials of kd and 5 of dist, and the finalist's own rate and decay
    assert (len(first.trainings), len(second.trainings)) == (12, 6)
    for sweep, member in zip((first, second), members(), strict=False):
        tried = [searched_values(t.task) for t in sweep.trainings]
        assert searched_values(member.task) == tried[0]
        assert set(sweep_points(spec, len(tried) - 1)) == set(tried[1:])
        assert {t.task.method.label for t in sweep.trainings} == {"none"}
    few = Judging(spec, members()[:1], search_of(kd=1), {})
    assert [len(sweep.trainings) for sweep in few.sweeps.values()] == [3]


def test_every_third_goes_on_from_a_rung_and_the_best_on_validation_is_chosen(
    spec: StudySpec,
) -> None:
    known = judged(spec)
    judging = Judging(spec, members(), SEARCHED, known)
    finalists = judging.finalists(known)
    for finalist, sweep in zip(finalists, judging.sweeps.values(), strict=False):
        swept = [known[each.key] for each in sweep.trainings]
        best = sorted(swept, key=quality, reverse=True)
        reached = [len(record.epochs) for record in best]
        many = len(best)
        assert reached == [9] * max(1, many // 9) + [3] * (many // 3 - max(1, many // 9)) + [1] * (
            many - many // 3
        )
        assert sum(reached) == sweep.epochs == sweep_epochs(many, 9, spec.search.scheduler)
        tuned = {r.task.training.model_dump_json() for r in finalist.baseline}
        assert tuned == {best[0].task.training.model_dump_json()}
        assert len(finalist.runs) == len(finalist.baseline) == spec.finalists.seeds
        for name in ("seed", "views_seed", "model"):
            own = [getattr(run.task, name) for run in finalist.runs]
            assert own == [getattr(run.task, name) for run in finalist.baseline]


def test_what_is_chosen_follows_the_objective(spec: StudySpec) -> None:
    """Of two configurations one has the better accuracy, the other the better likelihood."""
    chosen = {}
    for objective in ("accuracy", "nll"):
        search = spec.search.model_copy(update={"objective": (objective,)})
        other = spec.model_copy(update={"search": search})
        judging = Judging(other, members()[:1], search_of(kd=1), {})
        (sweep,) = judging.sweeps.values()
        known = {}
        for place, each in enumerate(sweep.trainings):
            record = trial(each.number, 0.5, 10).model_copy(update={"task": each.task})
            score = {"accuracy": 0.1 * place, "nll": 1.0 + 0.1 * place}
            both = score | {f"averaged_{name}": value for name, value in score.items()}
            known[each.key] = record.model_copy(update={"epochs": (both,) * EPOCHS})
        best = sweep.best(known)
        chosen[objective] = [each.task for each in sweep.trainings].index(best)
    assert chosen == {"accuracy": 2, "nll": 0}


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
    (sweep,) = judging.sweeps.values()
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


def trial_of(task: object) -> TrialRecord:
    return trial(0, 0.5, 10).model_copy(update={"task": task})


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
    search = next(iter(judging.sweeps.values())).trainings[0].task
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


def test_the_epochs_are_what_the_trainings_take(spec: StudySpec) -> None:
    judging = Judging(spec, members(), SEARCHED, {})
    found = by_task(run_all(JudgingJobs(judging, {}, BLUEPRINTS)))
    took = sum(len(record.epochs) for record in found.values())
    assert judging.epochs == judging.cost(epochs_alone) == took


def test_forebears_and_peers_are_compute_too(spec: StudySpec) -> None:
    """About three trainings of a grandchild, and two of a pair; the peers' signals come on top."""
    one, cost = distilled(0, 0.5, 10, 0.5, 0.03), TrialCost(650, 100, 64)
    for teacher, generations, times in (("born_again", 2, 3), ("mutual", 1, 2)):
        task = one.task.model_copy(update={"teacher": teacher, "generations": generations})
        other = one.model_copy(update={"task": task})
        costs = [Judging(spec, [m], SEARCHED, {}).cost(cost) for m in (one, other)]
        more = (costs[1] - costs[0]) / (cost(one, EPOCHS) * spec.finalists.seeds)
        assert times - 1 < more < 1.3 * (times - 1)
        if teacher == "born_again":
            epochs = [Judging(spec, [m], SEARCHED, {}).cost(epochs_alone) for m in (one, other)]
            assert epochs[1] - epochs[0] == (times - 1) * EPOCHS * spec.finalists.seeds


def test_no_more_are_judged_than_their_share_of_the_compute_pays_for(spec: StudySpec) -> None:
    front = [
        distilled(n, 0.1 * n, 10 * n, 0.1 * n, 0.05, label)
        for n, label in enumerate(("kd", "dist", "kd", "kd"), start=1)
    ]
    whole = [
        record.model_copy(update={"epochs": record.epochs * EPOCHS})
        for record in search_of(kd=20, dist=10, none=10)
    ]

    def chosen(share: float, most: int = 4, cost: CostOf = epochs_alone) -> list[TrialRecord]:
        other = spec.model_copy(update={"finalists": FinalistsSection(max=most)})
        return affordable(other, whole, lambda count: front[-count:], share, cost)

    assert chosen(math.inf) == front
    assert chosen(0.001) == front[-1:]
    for share in (0.3, 0.5, 0.7, 0.9, 5.0):
        other = spec.model_copy(update={"finalists": FinalistsSection()})
        fits = [
            count
            for count in (1, 2, 3, 4)
            if Judging(other, front[-count:], whole, {}).cost(epochs_alone) <= share * 40 * EPOCHS
        ]
        assert len(chosen(share)) == max(fits, default=1)
    assert {len(chosen(share)) for share in (0.3, 0.7, 0.9, 5.0)} == {1, 2, 3, 4}
    assert len(chosen(5.0, most=2)) == 2
    assert chosen(0.5, most=4) == chosen(0.5, most=3)
    assert affordable(spec, [], lambda count: [], 0.5, epochs_alone) == []

    def large_ones_cost(record: TrialRecord, epochs: float) -> float:
        return epochs * (1 + record.macs)

    assert len(chosen(0.7, cost=large_ones_cost)) < len(chosen(0.7))


def test_the_plan_is_what_an_even_search_leads_to(spec: StudySpec) -> None:
    """12 trials of four methods make three a method: a sweep of four takes 4 · 1 + 1 · 8 epochs."""
    assert planned_trainings(spec) == 2 * (2 * 2 + (4 + 2 + 6) / EPOCHS)
