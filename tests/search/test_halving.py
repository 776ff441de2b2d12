"""Early ends: decided by the definition, alike at any speed, and told as what they are."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from optuna.trial import TrialState

from kdsearch.search.front import pareto_front
from kdsearch.search.halving import Halving
from kdsearch.search.objectives import Objectives
from kdsearch.search.proposals import ProposedJobs
from kdsearch.search.record import TrialRecord
from kdsearch.search.rungs import goes_on, goes_on_among_neighbours
from kdsearch.spec import StudySpec, parse_spec
from tests.search import test_proposals as proposals
from tests.search.records import trial
from tests.search.test_proposals import first, last, make_jobs

EPOCHS = 9
WORDS = [
    "search.trials=40",
    f"training.epochs={EPOCHS}",
    "search.scheduler.name=halving",
    "search.scheduler.rungs=[0.12, 0.34]",
]
RUNGS = (1, 3)

Pick = Callable[[list[TrialRecord]], TrialRecord]


def report(record: TrialRecord, epoch: int) -> dict[str, float]:
    """Made-up scores of a configuration; the averaged ones are ahead of the others."""
    size, rate = record.parameter_count, record.task.training.lr
    final = 1 - 1 / (1 + size**0.3) - abs(rate - 0.05)
    done = epoch / EPOCHS
    return {
        "epoch": epoch,
        "seconds": 1.0,
        "accuracy": final * done,
        "averaged_accuracy": final * math.sqrt(done) - 0.01 * math.sin(size),
    }


def step(jobs: ProposedJobs, record: TrialRecord) -> TrialRecord:
    """A trial one epoch on, as the search would have it."""
    if record.number % 7 == 5 and len(record.epochs) == record.number % 2 * 2:
        return record.model_copy(update={"status": "failed", "reason": "made up"})
    epoch = len(record.epochs) + 1
    record = record.model_copy(update={"epochs": (*record.epochs, report(record, epoch))})
    if epoch == EPOCHS:
        return record.model_copy(update={"status": "complete"})
    return record if jobs.goes_on(record) else record.model_copy(update={"status": "stopped"})


def drive(jobs: ProposedJobs, at_a_time: int, pick: Pick, cut: int | None = None) -> list:
    """Run made-up trainings an epoch at a time, in the order that ``pick`` says."""
    return proposals.drive(jobs, at_a_time, pick, cut, step)


def by_number(records: list[TrialRecord]) -> list[TrialRecord]:
    return sorted(records, key=lambda record: record.number)


@pytest.fixture(params=["halving", "neighbours"])
def halving_spec(spec_text: str, request: pytest.FixtureRequest) -> StudySpec:
    return parse_spec(spec_text, [*WORDS, f"search.scheduler.name={request.param}"])


def test_the_order_in_which_epochs_end_changes_no_decision(
    halving_spec: StudySpec, tmp_path: Path
) -> None:
    shuffled = random.Random(0)
    orders: list[tuple[str, int, Pick]] = [
        ("one", 1, first),
        ("first", 2, first),
        ("last", 2, last),
        ("any", 2, shuffled.choice),
    ]
    runs = [
        by_number(drive(make_jobs(halving_spec, tmp_path / name)[0], count, pick))
        for name, count, pick in orders
    ]
    states = [record.status for record in runs[0]]
    assert len(states) == 40
    assert {"complete", "stopped", "failed"} <= set(states)
    assert all(run == runs[0] for run in runs)


@pytest.mark.parametrize("cut", [3, 12, 25])
def test_a_search_that_was_cut_off_decides_as_it_would_have(
    halving_spec: StudySpec, tmp_path: Path, cut: int
) -> None:
    whole = by_number(drive(make_jobs(halving_spec, tmp_path / "whole")[0], 2, first))
    ended = drive(make_jobs(halving_spec, tmp_path / "cut")[0], 2, last, cut)
    finished = {record.number: record for record in ended}
    rest = drive(make_jobs(halving_spec, tmp_path / "cut", finished)[0], 2, first)
    assert by_number([*ended, *rest]) == whole


def test_each_decision_is_the_definitions(halving_spec: StudySpec, tmp_path: Path) -> None:
    jobs, _ = make_jobs(halving_spec, tmp_path / "journal")
    records = by_number(drive(jobs, 2, last))

    def point(record: TrialRecord, rung: int) -> list[float]:
        return [
            1 - record.epochs[rung - 1]["averaged_accuracy"],
            math.log10(record.parameter_count),
        ]

    decisions = 0
    for record in records:
        for rung in RUNGS:
            if len(record.epochs) < rung:
                continue
            known = [
                other
                for other in records
                if other.number <= record.number - jobs.lag
                and other.status != "failed"
                and len(other.epochs) >= rung
            ]
            own = np.array(point(record, rung))
            others = np.array([point(other, rung) for other in known]).reshape(-1, 2)
            if halving_spec.search.scheduler.name == "halving":
                expected = goes_on(own, others, 3)
            else:
                expected = goes_on_among_neighbours(own, others, 3, 8)
            stopped_here = record.status == "stopped" and len(record.epochs) == rung
            assert expected == (not stopped_here)
            decisions += 1
    assert decisions > 40


def test_what_was_stopped_has_no_accuracy_anywhere(halving_spec: StudySpec, tmp_path: Path) -> None:
    jobs, study = make_jobs(halving_spec, tmp_path / "journal")
    records = {record.number: record for record in drive(jobs, 2, first)}
    told = {each.user_attrs["place"]: each for each in study.get_trials(deepcopy=False)}
    states = {
        "complete": TrialState.COMPLETE,
        "stopped": TrialState.PRUNED,
        "failed": TrialState.FAIL,
    }
    for number, record in records.items():
        assert told[number].state == states[record.status]
        assert (told[number].values is None) == (record.status != "complete")
        assert (record.accuracy is None) == (record.status != "complete")
    front = pareto_front(list(records.values()), Objectives())
    assert front
    assert all(record.status == "complete" for record in front)
    stopped = [record for record in records.values() if record.status == "stopped"]
    assert stopped
    assert {len(record.epochs) for record in stopped} <= set(RUNGS)


def test_fewer_epochs_are_trained(halving_spec: StudySpec, tmp_path: Path) -> None:
    records = drive(make_jobs(halving_spec, tmp_path / "journal")[0], 2, first)
    assert sum(len(record.epochs) for record in records) < 0.85 * 40 * EPOCHS


def test_by_raw_accuracy_no_average_is_taken(spec_text: str, tmp_path: Path) -> None:
    records = [trial(0, 0.5, 100)]
    for score, expected in (("ema", (1, 3)), ("raw", ())):
        spec = parse_spec(spec_text, [*WORDS, f"search.scheduler.score={score}"])
        task = records[0].task
        training = task.training.model_copy(update={"epochs": EPOCHS})
        task = task.model_copy(update={"training": training})
        assert Halving(spec.search).averaged_after(task) == expected


def test_without_a_scheduler_every_trial_goes_on(spec_text: str, tmp_path: Path) -> None:
    spec = parse_spec(spec_text, [*WORDS, "search.scheduler.name=none"])
    records = drive(make_jobs(spec, tmp_path / "journal")[0], 2, first)
    assert {record.status for record in records} == {"complete", "failed"}


def test_a_trial_that_failed_is_compared_with_nobody(spec_text: str) -> None:
    spec = parse_spec(spec_text, [*WORDS, "search.scheduler.score=raw"])
    halving = Halving(spec.search)
    training = trial(0, None, 1).task.training.model_copy(update={"epochs": EPOCHS})

    def at_first_rung(number: int, accuracy: float) -> TrialRecord:
        record = trial(number, accuracy, 100)
        task = record.task.model_copy(update={"training": training})
        return record.model_copy(update={"task": task, "status": "running"})

    for number in range(6):
        failed = at_first_rung(number, 0.9).model_copy(update={"status": "failed"})
        halving.take_in(failed)
    assert halving.goes_on(at_first_rung(9, 0.1), 8)
    for number in range(6):
        halving.take_in(at_first_rung(number, 0.9).model_copy(update={"status": "stopped"}))
    assert not halving.goes_on(at_first_rung(9, 0.1), 8)
    assert halving.goes_on(at_first_rung(9, 0.1), 0)


def test_the_expected_share_counts_who_reaches_each_part(spec_text: str) -> None:
    """Of 9 epochs: 1 by all, 2 by a third, 6 by a ninth."""
    task = trial(0, 0.5, 100).task
    task = task.model_copy(update={"training": task.training.model_copy(update={"epochs": EPOCHS})})
    halving = Halving(parse_spec(spec_text, WORDS).search)
    assert halving.expected_share(task) == pytest.approx((1 + 2 / 3 + 6 / 9) / 9)
    unbridled = Halving(parse_spec(spec_text).search)
    assert unbridled.expected_share(task) == 1.0
