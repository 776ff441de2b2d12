"""Made-up searches by halving, and the course of one from its definition."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np

from kdsearch.results.preference import neighbour_order, preference
from kdsearch.results.record import TrialRecord
from kdsearch.search.clock import SLACK, margin_of
from kdsearch.search.loop import ProposedJobs
from kdsearch.search.study_run import stopped
from kdsearch.spec import StudySpec
from tests.search import test_loop as proposals
from tests.search.test_loop import first, make_jobs

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
    until = jobs.stage(record).until
    epoch = len(record.epochs) + 1
    record = record.model_copy(update={"epochs": (*record.epochs, report(record, epoch))})
    if epoch == EPOCHS:
        return record.model_copy(update={"status": "complete"})
    return record.model_copy(update={"status": "paused"}) if epoch == until else record


def drive(
    jobs: ProposedJobs,
    at_a_time: int,
    pick: Pick,
    cut: int | None = None,
    running: list[TrialRecord] | None = None,
) -> list[TrialRecord]:
    """Run made-up trainings an epoch at a time, in the order that ``pick`` says."""
    return proposals.drive(jobs, at_a_time, pick, cut, step, running)


def by_number(records: list[TrialRecord]) -> list[TrialRecord]:
    """What came of each trial, by number."""
    latest = {record.number: record for record in records}
    return [latest[number] for number in sorted(latest)]


class Definition:
    """The course of a search with one training at a time, from what each decision may know.

    Args:
        spec: The study.
        records: What came of each trial.
        cost: Of so many epochs of a trial.
        slack: After how many times its cost a training is due.
        margin: And how many times the mean of all costs; absent: as its workers say.
    """

    def __init__(
        self,
        spec: StudySpec,
        records: list[TrialRecord],
        cost: Callable[[TrialRecord, int], float] = lambda _, epochs: epochs,
        slack: float = SLACK,
        margin: float | None = None,
    ) -> None:
        self.spec, self.records, self.cost = spec, records, cost
        workers = spec.resources.concurrent
        self.slack, self.margin = slack, margin_of(workers) if margin is None else margin
        self.known: dict[int, int] = {}
        """Epochs of each trial whose outcome is known."""
        self.gone_on: set[tuple[int, int]] = set()

    def point(self, number: int, rung: int) -> list[float]:
        record = self.records[number]
        loss = 1 - record.epochs[rung - 1]["averaged_accuracy"]
        return [loss, math.log10(record.parameter_count)]

    def goes_on(self) -> tuple[int, int] | None:
        """Who goes on next, and from where: the last rung first, the best third, the best first."""
        for rung in reversed(RUNGS):
            there = self.reached[rung]
            if len(there) < 3:
                continue
            points = np.array([self.point(number, rung) for number in there])
            halves = self.spec.search.scheduler.name == "halving"
            order = preference(points) if halves else neighbour_order(points, 8)
            for place in order[: len(there) // 3]:
                if (there[place], rung) not in self.gone_on:
                    return there[place], rung
        return None

    def course(self) -> list[tuple[int, int]]:
        """Every stage that is handed out: the trial, and the epochs that it has behind it."""
        proposed, handed = 0, []
        waiting: list[tuple[float, int, tuple[int, int]]] = []
        self.reached: dict[int, list[int]] = {rung: [] for rung in RUNGS}
        lanes, costs, skipped = [0.0] * self.spec.resources.concurrent, [], 0.0
        while True:
            clock = max(skipped, min(lanes))
            for each in sorted(each for each in waiting if each[0] <= clock):
                waiting.remove(each)
                number, done = each[2]
                end = next((rung for rung in RUNGS if rung > done), EPOCHS)
                if end < EPOCHS and len(self.records[number].epochs) >= end:
                    self.reached[end].append(number)
            stage = self.goes_on()
            if stage is not None:
                self.gone_on.add(stage)
            elif proposed < self.spec.search.trials:
                stage = (proposed, 0)
                proposed += 1
            elif waiting:
                skipped = max(clock, min(waiting)[0])
                continue
            else:
                return handed
            epochs = next((rung for rung in RUNGS if rung > stage[1]), EPOCHS) - stage[1]
            cost = self.cost(self.records[stage[0]], epochs)
            costs.append(cost)
            due = clock + self.slack * cost + self.margin * sum(costs) / len(costs)
            waiting.append((due, len(handed), stage))
            handed.append(stage)
            lanes[lanes.index(min(lanes))] = clock + cost


def noted(jobs: ProposedJobs) -> list[tuple[int, int]]:
    """Every stage that is handed out from now on: the trial, and the epochs behind it."""
    handed: list[tuple[int, int]] = []
    hand_out = jobs.next

    def next_noted() -> TrialRecord | None:
        record = hand_out()
        if record is not None:
            handed.append((record.number, len(record.epochs)))
        return record

    jobs.next = next_noted  # type: ignore[method-assign]
    return handed


def searched(spec: StudySpec, known: Mapping[int, TrialRecord]) -> dict[int, TrialRecord]:
    """What a search makes of known trials, those that wait at its end stopped."""
    jobs, _ = make_jobs(spec, known)
    records = dict(known) | {record.number: record for record in drive(jobs, 2, first)}
    return records | {record.number: record for record in stopped(records.values())}
