"""What judges the front: seeds, baselines with a learning rate of their own, each training once."""

from __future__ import annotations

import pytest

from kdsearch.execution.jobs import NoMoreJobs
from kdsearch.results.judging import Judging, baseline_rates
from kdsearch.results.record import TrialRecord
from kdsearch.search.judging_jobs import JudgingJobs
from kdsearch.space.architectures import Architectures
from kdsearch.spec import MethodConfig, StudySpec, TermConfig, parse_spec
from tests.records import TASK, trial

BLUEPRINTS = Architectures((1, 8, 8), 10)


def distilled(number: int, accuracy: float, size: int, width: float, lr: float) -> TrialRecord:
    term = TermConfig(name="kd", hyperparameters={"temperature": 4.0, "weight": 0.9})
    task = TASK.model_copy(
        update={
            "method": MethodConfig(label="kd", terms=(term,)),
            "model": TASK.model.model_copy(update={"width": width}),
            "training": TASK.training.model_copy(update={"lr": lr}),
        }
    )
    return trial(number, accuracy, size).model_copy(update={"task": task})


def members() -> list[TrialRecord]:
    return [distilled(0, 0.5, 10, 0.5, 0.03), distilled(1, 0.6, 20, 1.0, 0.1), trial(2, 0.7, 30)]


def outcome(record: TrialRecord, best_rate: float) -> TrialRecord:
    """A made-up training whose validation accuracy is best at ``best_rate``."""
    rate = record.task.training.lr
    accuracy = 1 - abs(rate - best_rate)
    if rate > 0.19:
        return record.model_copy(update={"status": "failed", "reason": "made up"})
    epochs = ({"accuracy": accuracy, "epoch": 1.0, "seconds": 1.0},)
    test = {"accuracy": accuracy - 0.1} if record.phase == "finalists" else None
    return record.model_copy(update={"status": "complete", "epochs": epochs, "test": test})


def run_all(jobs: JudgingJobs, best_rate: float, stop: int | None = None) -> list[TrialRecord]:
    """Run made-up trainings, two at a time, the later one first to end."""
    running: list[TrialRecord] = []
    ended: list[TrialRecord] = []
    while stop is None or len(ended) < stop:
        record = None
        try:
            record = jobs.next() if len(running) < 2 else None
        except NoMoreJobs:
            if not running:
                break
        if record is not None:
            running.append(record)
            continue
        done = outcome(running.pop(), best_rate)
        jobs.ended(done)
        ended.append(done)
    return ended


def by_task(records: list[TrialRecord]) -> dict[str, TrialRecord]:
    return {record.task.key: record for record in records}


def test_the_sweep_covers_the_searched_range(spec: StudySpec, spec_text: str) -> None:
    rates = baseline_rates(spec)
    assert rates[0] == pytest.approx(0.02)
    assert rates[-1] == pytest.approx(0.2)
    assert rates[1] / rates[0] == pytest.approx(rates[2] / rates[1])
    assert baseline_rates(parse_spec(spec_text, ["training.lr=0.07"])) == [0.07]
    chosen = parse_spec(spec_text, ["training.lr={choices: [0.1, 0.2]}"])
    assert baseline_rates(chosen) == [0.1, 0.2]


def test_the_baseline_gets_the_rate_that_is_best_for_it_on_validation(spec: StudySpec) -> None:
    judging = Judging(spec, members(), {})
    ended = run_all(JudgingJobs(judging, {}, BLUEPRINTS), best_rate=0.1)
    finalists = judging.finalists(by_task(ended))
    seeds = spec.finalists.seeds
    for finalist in finalists[:2]:
        assert len(finalist.runs) == len(finalist.baseline) == seeds
        assert all(run.task.method.label == "kd" for run in finalist.runs)
        assert all(run.task.method.label == "none" for run in finalist.baseline)
        rates = {run.task.training.lr for run in finalist.baseline}
        swept = {
            record.task.training.lr
            for record in ended
            if record.phase == "baselines" and record.task.model == finalist.trial.task.model
        }
        assert swept >= {*baseline_rates(spec), finalist.trial.task.training.lr}
        assert rates == {min(swept, key=lambda rate: abs(rate - 0.1))}
        assert {r.task.seed for r in finalist.runs} == {r.task.seed for r in finalist.baseline}
        assert {r.task.model for r in finalist.runs} == {r.task.model for r in finalist.baseline}


def test_a_member_without_a_teacher_is_its_own_baseline(spec: StudySpec) -> None:
    judging = Judging(spec, members(), {})
    last = judging.finalists(by_task(run_all(JudgingJobs(judging, {}, BLUEPRINTS), 0.1)))[-1]
    assert last.runs == last.baseline
    assert last.gain.count == 0


def test_the_sweep_never_sees_the_test_and_each_training_happens_once(spec: StudySpec) -> None:
    judging = Judging(spec, members(), {})
    ended = run_all(JudgingJobs(judging, {}, BLUEPRINTS), 0.1)
    assert len(ended) == judging.total == len({record.task.key for record in ended})
    assert len({record.number for record in ended}) == len(ended)
    search_seed = judging.sweep[0].task.seed
    for record in ended:
        assert (record.test is not None) <= (record.phase == "finalists")
        assert (record.task.seed == search_seed) == (record.phase == "baselines")


def test_members_with_one_student_share_a_baseline(spec: StudySpec) -> None:
    twins = [distilled(0, 0.5, 10, 0.5, 0.03), distilled(1, 0.6, 10, 0.5, 0.1)]
    judging = Judging(spec, twins, {})
    ended = run_all(JudgingJobs(judging, {}, BLUEPRINTS), 0.1)
    first, second = judging.finalists(by_task(ended))
    assert first.baseline == second.baseline
    assert len(ended) == judging.total
    # four rates of the range and one of each twin, then the seeds of both and of the baseline
    assert judging.total == 6 + 3 * spec.finalists.seeds


@pytest.mark.parametrize("stop", [1, 7, 12, 15])
def test_judging_that_was_cut_off_goes_on_with_the_same_numbers(spec: StudySpec, stop: int) -> None:
    whole = run_all(JudgingJobs(Judging(spec, members(), {}), {}, BLUEPRINTS), 0.1)
    begun = run_all(JudgingJobs(Judging(spec, members(), {}), {}, BLUEPRINTS), 0.1, stop=stop)
    known = by_task(begun)
    judging = Judging(spec, members(), known)
    rest = run_all(JudgingJobs(judging, known, BLUEPRINTS), 0.1)
    assert {r.task.key: r.number for r in begun + rest} == {r.task.key: r.number for r in whole}
    assert len(judging.done(known)) == stop


def test_a_study_that_was_extended_keeps_what_is_still_wanted(spec: StudySpec) -> None:
    ended = by_task(run_all(JudgingJobs(Judging(spec, members(), {}), {}, BLUEPRINTS), 0.1))
    grown = [*members()[1:], distilled(9, 0.9, 50, 2.0, 0.05)]
    judging = Judging(spec, grown, ended)
    rest = run_all(JudgingJobs(judging, ended, BLUEPRINTS), 0.1)
    assert not {record.task.key for record in rest} & ended.keys()
    assert not {r.number for r in rest} & {r.number for r in ended.values()}
    assert all(f.baseline for f in judging.finalists(ended | by_task(rest)))
