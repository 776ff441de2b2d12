"""Proposals: the same at any speed and after any interruption; failures told as failures."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from kdsearch.errors import StudyError
from kdsearch.execution.jobs import NoMoreJobs
from kdsearch.results.objectives import Objectives
from kdsearch.results.record import TrialRecord
from kdsearch.search.loop import ProposedJobs
from kdsearch.search.optuna_study import open_optuna_study
from kdsearch.search.proposer import Proposer
from kdsearch.space.architectures import Architectures
from kdsearch.space.space import Space
from kdsearch.spec import StudySpec, parse_spec

SHAPE, CLASSES = (1, 8, 8), 10


def make_jobs(
    spec: StudySpec, path: Path, finished: dict[int, TrialRecord] | None = None
) -> tuple[ProposedJobs, optuna.Study]:
    study = open_optuna_study(path, spec.study.name, Objectives.of(spec.search))
    proposer = Proposer(Space(spec), study, Architectures(SHAPE, CLASSES))
    return ProposedJobs(spec, proposer, finished or {}), study


def outcome(record: TrialRecord) -> TrialRecord:
    """A made-up accuracy that depends on the configuration alone; some trainings fail."""
    rate, size = record.task.training.lr, record.parameter_count
    if record.number % 7 == 5:
        return record.model_copy(update={"status": "failed", "reason": "made up"})
    accuracy = 1 - 1 / (1 + size**0.3) - abs(rate - 0.05)
    epochs = ({"accuracy": accuracy, "epoch": 1.0, "seconds": 1.0},)
    return record.model_copy(update={"status": "complete", "epochs": epochs})


def drive(
    jobs: ProposedJobs,
    at_a_time: int,
    pick: Callable[[list[TrialRecord]], TrialRecord],
    stop_after: int | None = None,
    advance: Callable[[ProposedJobs, TrialRecord], TrialRecord] = lambda _, record: outcome(record),
) -> list[TrialRecord]:
    """Run made-up trainings, ``at_a_time`` at once, in the order that ``pick`` says.

    ``advance`` brings one of them on; by itself as far as its end.
    """
    running: list[TrialRecord] = []
    ended: list[TrialRecord] = []
    more = True
    while more or running:
        while more and len(running) < at_a_time:
            try:
                record = jobs.next()
            except NoMoreJobs:
                more = False
                break
            if record is None:
                break
            running.append(record)
        if not (more or running):
            break
        assert running, "the search waits for a training that nobody runs"
        place = running.index(pick(running))
        record = running[place] = advance(jobs, running[place])
        if record.status == "running":
            continue
        del running[place]
        jobs.ended(record)
        ended.append(record)
        if stop_after is not None and len(ended) == stop_after:
            return ended
    jobs.tell_all()
    return ended


def parameters(records: list[TrialRecord]) -> list[dict]:
    return [record.parameters for record in sorted(records, key=lambda record: record.number)]


def first(running: list[TrialRecord]) -> TrialRecord:
    return running[0]


def last(running: list[TrialRecord]) -> TrialRecord:
    return running[-1]


@pytest.mark.parametrize("sampler", ["tpe", "nsga2", "random"])
def test_the_order_in_which_trials_end_changes_no_proposal(
    spec_text: str, tmp_path: Path, sampler: str
) -> None:
    spec = parse_spec(spec_text, [f"search.sampler={sampler}", "search.trials=30"])
    shuffled = random.Random(0)
    runs = [
        parameters(drive(make_jobs(spec, tmp_path / f"{name}.journal")[0], count, pick))
        for name, count, pick in (
            ("one", 1, first),
            ("first", 2, first),
            ("last", 2, last),
            ("any", 2, shuffled.choice),
        )
    ]
    assert len(runs[0]) == 30
    assert runs[0] == runs[1] == runs[2] == runs[3]


def test_another_seed_proposes_other_trials(spec_text: str, tmp_path: Path) -> None:
    one = parse_spec(spec_text)
    other = parse_spec(spec_text, ["study.seed=4"])
    first_run = parameters(drive(make_jobs(one, tmp_path / "a")[0], 1, first))
    assert first_run != parameters(drive(make_jobs(other, tmp_path / "b")[0], 1, first))


@pytest.mark.parametrize("cut", [1, 5, 14])
def test_a_study_that_was_cut_off_goes_on_as_it_would_have(
    spec_text: str, tmp_path: Path, cut: int
) -> None:
    spec = parse_spec(spec_text, ["search.trials=20"])
    whole = parameters(drive(make_jobs(spec, tmp_path / "whole")[0], 2, first))
    ended = drive(make_jobs(spec, tmp_path / "cut")[0], 2, last, stop_after=cut)
    finished = {record.number: record for record in ended}
    jobs, study = make_jobs(spec, tmp_path / "cut", finished)
    rest = drive(jobs, 2, first)
    assert parameters(ended + rest) == whole
    states = [trial.state for trial in study.get_trials(deepcopy=False)]
    assert states.count(TrialState.RUNNING) == 0
    assert len(states) == 20


@pytest.mark.parametrize("number", [2, 9])
def test_a_proposal_that_was_cut_off_half_way_is_made_again_alike(
    spec_text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    spec = parse_spec(spec_text, ["search.trials=20"])
    whole = parameters(drive(make_jobs(spec, tmp_path / "whole")[0], 2, first))
    jobs, _ = make_jobs(spec, tmp_path / "cut")
    suggest = optuna.Trial.suggest_float

    def die(trial: optuna.Trial, *arguments: object, **options: object) -> float:
        if trial.number == number:
            raise KeyboardInterrupt
        return suggest(trial, *arguments, **options)  # type: ignore[arg-type]

    ended: list[TrialRecord] = []
    with monkeypatch.context() as patch:
        patch.setattr(optuna.Trial, "suggest_float", die)
        take_in = jobs.ended
        patch.setattr(jobs, "ended", lambda record: (take_in(record), ended.append(record)))
        with pytest.raises(KeyboardInterrupt):
            drive(jobs, 2, first)
    jobs, _ = make_jobs(spec, tmp_path / "cut", {record.number: record for record in ended})
    assert parameters(ended + drive(jobs, 2, first)) == whole


def test_complete_and_failed_are_told_apart(spec: StudySpec, tmp_path: Path) -> None:
    jobs, study = make_jobs(spec, tmp_path / "journal")
    ended = {record.number: record for record in drive(jobs, 2, first)}
    for trial in study.get_trials(deepcopy=False):
        record = ended[trial.user_attrs["place"]]
        if record.status == "failed":
            assert trial.state == TrialState.FAIL
            assert trial.values is None
        else:
            assert trial.state == TrialState.COMPLETE
            assert trial.values[0] == record.accuracy
            assert 10 ** trial.values[1] == pytest.approx(record.parameter_count)


def test_every_method_enters_with_its_published_defaults(spec: StudySpec, tmp_path: Path) -> None:
    ended = drive(make_jobs(spec, tmp_path / "journal")[0], 1, first)
    opening = parameters(ended)[:4]
    assert [values["method"] for values in opening] == ["none", "kd", "dist", "kd+fitnet"]
    assert opening[1]["kd.temperature"] == 4.0
    assert opening[1]["kd.weight"] == 0.9
    assert opening[2]["dist.weight"] == 2.0
    assert opening[3]["kd+fitnet.fitnet.weight"] == 100.0


def test_students_outside_the_limits_are_never_handed_out(spec_text: str, tmp_path: Path) -> None:
    spec = parse_spec(spec_text, ["search.max_parameters=2000", "search.max_macs=20000"])
    ended = drive(make_jobs(spec, tmp_path / "journal")[0], 2, first)
    assert len(ended) == spec.search.trials
    assert all(record.parameter_count <= 2000 and record.macs <= 20000 for record in ended)


def test_limits_that_no_student_keeps_are_refused(spec_text: str, tmp_path: Path) -> None:
    spec = parse_spec(spec_text, ["search.max_parameters=3"])
    jobs, _ = make_jobs(spec, tmp_path / "journal")
    with pytest.raises(StudyError, match=r"or could not work; raise search\.max_parameters"):
        jobs.next()
