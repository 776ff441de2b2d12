"""Proposals: the same at any speed and after any interruption; failures told as failures."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from kdsearch.errors import StudyError
from kdsearch.execution.jobs import NoMoreJobs
from kdsearch.models import of_images
from kdsearch.results.record import Journal, TrialRecord
from kdsearch.search.loop import ProposedJobs
from kdsearch.search.proposer import Proposer
from kdsearch.space.architectures import Architectures
from kdsearch.space.space import Space
from kdsearch.spec import StudySpec, parse_spec

SHAPE, CLASSES = (1, 8, 8), 10

WRITER = """
import sys
from pathlib import Path
from kdsearch.results.record import Journal
from kdsearch.spec import parse_spec
from tests.search.test_loop import drive, first, make_jobs

folder = Path(sys.argv[1])
jobs, _ = make_jobs(parse_spec((folder / "spec.yaml").read_text()))
journal, take_in = Journal(folder / "trials"), jobs.ended
jobs.ended = lambda record: (journal.append(record), take_in(record))
drive(jobs, 2, first)
"""


def make_jobs(
    spec: StudySpec, finished: Mapping[int, TrialRecord] | None = None, **options: Any
) -> tuple[ProposedJobs, optuna.Study]:
    finished = {number: kept(record) for number, record in (finished or {}).items()}
    proposer = Proposer(Space(spec), Architectures(of_images(SHAPE), CLASSES), known=finished)
    return ProposedJobs(spec, proposer, finished, **options), proposer.study


def kept(record: TrialRecord) -> TrialRecord:
    """A record as the journal gives it back."""
    return TrialRecord.model_validate_json(record.model_dump_json())


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
    running: list[TrialRecord] | None = None,
) -> list[TrialRecord]:
    """Run made-up trainings, ``at_a_time`` at once, in the order that ``pick`` says.

    ``advance`` brings one of them on; by itself as far as its end. ``running`` has those that were
    not at their end when it was stopped.
    """
    running = [] if running is None else running
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
    return ended


def parameters(records: list[TrialRecord]) -> list[dict]:
    return [record.parameters for record in sorted(records, key=lambda record: record.number)]


def first(running: list[TrialRecord]) -> TrialRecord:
    return running[0]


def last(running: list[TrialRecord]) -> TrialRecord:
    return running[-1]


@pytest.mark.parametrize("sampler", ["tpe", "nsga2", "random"])
def test_the_order_in_which_trials_end_changes_no_proposal(spec_text: str, sampler: str) -> None:
    spec = parse_spec(spec_text, [f"search.sampler={sampler}", "search.trials=30"])
    shuffled = random.Random(0)
    runs = [
        parameters(drive(make_jobs(spec)[0], count, pick))
        for count, pick in ((1, first), (2, first), (2, last), (2, shuffled.choice))
    ]
    assert len(runs[0]) == 30
    assert runs[0] == runs[1] == runs[2] == runs[3]


def test_another_seed_proposes_other_trials(spec_text: str) -> None:
    one = parse_spec(spec_text)
    other = parse_spec(spec_text, ["study.seed=4"])
    first_run = parameters(drive(make_jobs(one)[0], 1, first))
    assert first_run != parameters(drive(make_jobs(other)[0], 1, first))


@pytest.mark.parametrize("cut", [1, 5, 14])
def test_a_study_that_was_cut_off_goes_on_as_it_would_have(spec_text: str, cut: int) -> None:
    spec = parse_spec(spec_text, ["search.trials=20"])
    whole = parameters(drive(make_jobs(spec)[0], 2, first))
    ended = drive(make_jobs(spec)[0], 2, last, stop_after=cut)
    finished = {record.number: record for record in ended}
    jobs, _ = make_jobs(spec, finished)
    rest = drive(jobs, 2, first)
    assert parameters(ended + rest) == whole


@pytest.mark.parametrize("number", [2, 9])
def test_a_proposal_that_was_cut_off_half_way_is_made_again_alike(
    spec_text: str, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    spec = parse_spec(spec_text, ["search.trials=20"])
    whole = parameters(drive(make_jobs(spec)[0], 2, first))
    jobs, _ = make_jobs(spec)
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
    jobs, _ = make_jobs(spec, {record.number: record for record in ended})
    assert parameters(ended + drive(jobs, 2, first)) == whole


def test_a_killed_process_costs_no_proposal(spec_text: str, tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text(spec_text.replace("trials: 12", "trials: 200"))
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path)], cwd=Path(__file__).parents[2]
    )
    trials = tmp_path / "trials"
    while not (trials.exists() and trials.read_bytes().count(b"\n") >= 13):
        assert writer.poll() is None, "the writer ended by itself"
        time.sleep(0.01)
    writer.send_signal(signal.SIGKILL)
    writer.wait()
    finished = Journal(trials).read()
    assert 13 <= len(finished) < 200
    spec = parse_spec(spec_text, [f"search.trials={len(finished) + 8}"])
    rest = drive(make_jobs(spec, finished)[0], 2, first)
    whole = drive(make_jobs(spec)[0], 2, first)
    assert parameters([*finished.values(), *rest]) == parameters(whole)


def test_as_outcomes_come_nothing_is_waited_for(spec_text: str) -> None:
    """Of two workers one never ends trial 0 while there is another."""
    spec = parse_spec(spec_text, ["search.trials=30"])
    ended = drive(make_jobs(spec, deterministic=False)[0], 2, last)
    assert [record.number for record in ended] == [*range(1, 30), 0]
    waited_for = drive(make_jobs(spec)[0], 2, last)
    assert waited_for[-1].number != 0


def test_a_trial_whose_outcome_is_to_be_forgotten_is_done_again_first(spec_text: str) -> None:
    """As where failed trials are to be tried again; ``known`` has their parameters."""
    spec = parse_spec(spec_text, ["search.trials=20"])
    ended = drive(make_jobs(spec, deterministic=False)[0], 1, first, stop_after=15)
    known = {record.number: record for record in ended}
    failed = [number for number, record in known.items() if record.status == "failed"]
    assert failed == [5, 12]
    proposer = Proposer(Space(spec), Architectures(of_images(SHAPE), CLASSES), known=known)
    good = {number: known[number] for number in known if number not in failed}
    jobs = ProposedJobs(spec, proposer, good, deterministic=False)
    again = [jobs.next(), jobs.next()]
    for number, record in zip(failed, again, strict=True):
        assert record is not None
        wanted = {"status": "running", "reason": None}
        assert record == known[number].model_copy(update=wanted)
    following = jobs.next()
    assert following is not None
    assert following.number == 15


def test_complete_and_failed_are_told_apart(spec: StudySpec) -> None:
    ended = {record.number: record for record in drive(make_jobs(spec)[0], 2, first)}
    jobs, study = make_jobs(spec, ended)
    assert drive(jobs, 2, first) == []
    for trial in study.trials:
        record = ended[trial.number]
        if record.status == "failed":
            assert trial.state == TrialState.FAIL
            assert trial.values is None
        else:
            assert trial.state == TrialState.COMPLETE
            assert trial.values[0] == record.scores["accuracy"]
            assert 10 ** trial.values[1] == pytest.approx(record.parameter_count)


def test_every_method_enters_with_its_published_defaults(spec: StudySpec) -> None:
    ended = drive(make_jobs(spec)[0], 1, first)
    opening = parameters(ended)[:4]
    assert [values["method"] for values in opening] == ["none", "kd", "dist", "kd+fitnet"]
    assert opening[1]["kd.temperature"] == 4.0
    assert opening[1]["kd.weight"] == 0.9
    assert opening[2]["dist.weight"] == 2.0
    assert opening[3]["kd+fitnet.fitnet.weight"] == 100.0


def test_students_outside_the_limits_are_never_handed_out(spec_text: str) -> None:
    spec = parse_spec(spec_text, ["search.max_parameters=2000", "search.max_macs=20000"])
    ended = drive(make_jobs(spec)[0], 2, first)
    assert len(ended) == spec.search.trials
    assert all(record.parameter_count <= 2000 and record.macs <= 20000 for record in ended)


def test_limits_that_no_student_keeps_are_refused(spec_text: str) -> None:
    spec = parse_spec(spec_text, ["search.max_parameters=3"])
    jobs, _ = make_jobs(spec)
    with pytest.raises(StudyError, match=r"or could not work; raise search\.max_parameters"):
        jobs.next()
