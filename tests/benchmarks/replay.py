"""A search whose trainings are read from a table instead of run."""

from __future__ import annotations

import heapq
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
from curves_table import Curve, CurvesTable
from volumes import Progress

from kdsearch.execution.jobs import Jobs, NoMoreJobs
from kdsearch.results.front import hypervolume, pareto_front
from kdsearch.results.objectives import Objectives
from kdsearch.results.record import TrialRecord


class Stopping(Jobs):
    """Trainings that may be stopped for good after any epoch."""

    @abstractmethod
    def goes_on(self, record: TrialRecord) -> bool:
        """Whether a training that has finished an epoch, but not its last, is trained further."""


class Replay:
    """Runs the jobs of one search on made-up workers, an epoch at a time.

    A proposal is answered with the nearest recorded configuration that the search has not met: its
    sizes, its scores, and the time that its epochs took, which decides the order of events. One
    that was met before would teach nothing new, and a search that looks where it is good would
    find there, otherwise than in real trainings, the same few students again and again.

    Args:
        table: The recorded configurations.
        workers: Trials at a time.
        largest: Parameters of the teacher, the end of the hypervolume's axis.

    Attributes:
        complete: The trials that have come to their end.
    """

    def __init__(self, table: CurvesTable, workers: int, largest: int) -> None:
        self._table, self._workers = table, workers
        self._objectives, self._largest = Objectives(), [largest]
        self._answers: dict[int, int] = {}
        self.complete: list[TrialRecord] = []

    def run(self, jobs: Jobs, budget: float) -> Progress:
        """Search until so many whole trainings' epochs are spent, or there are no more jobs."""
        events: list[tuple[float, int]] = []
        running: dict[int, _Running] = {}
        tested: dict[int, float] = {}
        spent, begun = [], 0
        volumes: list[tuple[float, float]] = []
        clock, epochs = 0.0, 0
        while epochs < budget * self._table.epochs:
            for trial in self._begin(jobs, len(running)):
                running[trial.record.number] = trial
                begun += not trial.record.epochs
                heapq.heappush(events, (clock + trial.curve.seconds, trial.record.number))
            if not running:
                break
            clock, number = heapq.heappop(events)
            epochs += 1
            curve = running[number].curve
            record = running[number].step(self._table.epochs, jobs)
            if record.status == "running":
                heapq.heappush(events, (clock + curve.seconds, number))
                continue
            del running[number]
            jobs.ended(record)
            if curve.test is not None and record.complete:
                self.complete.append(record)
                tested[number] = curve.test
                spent.append(epochs / self._table.epochs)
                volumes.append(self._volumes(tested))
        on_validation, on_test = np.array(volumes).reshape(-1, 2).T
        return Progress(np.array(spent), on_validation, begun, on_test)

    def front(self) -> list[TrialRecord]:
        """The front of the complete trials on validation, small to large."""
        return pareto_front(self.complete, self._objectives)

    def _volumes(self, tested: dict[int, float]) -> tuple[float, float]:
        """Hypervolume of the validation front by its own scores, and by those on the test."""
        front = self.front()
        scored = [
            each.model_copy(update={"epochs": ({"accuracy": tested[each.number]},)})
            for each in front
        ]
        return (
            hypervolume(front, self._objectives, self._largest),
            hypervolume(scored, self._objectives, self._largest),
        )

    def _begin(self, jobs: Jobs, running: int) -> Iterator[_Running]:
        """New trials for the workers that have none."""
        with suppress(NoMoreJobs):
            for _ in range(running, self._workers):
                record = jobs.next()
                if record is None:
                    return
                curve = self._answer(record)
                yield _Running(_sized(record, curve), curve, jobs.stage(record).until)

    def _answer(self, record: TrialRecord) -> Curve:
        if record.number not in self._answers:
            taken = set(self._answers.values())
            self._answers[record.number] = self._table.nearest(record.parameters, taken)
        return self._table.curves[self._answers[record.number]]


@dataclass
class _Running:
    """A trial and the curve that it follows."""

    record: TrialRecord
    curve: Curve
    until: int | None

    def step(self, epochs: int, jobs: Jobs) -> TrialRecord:
        """The trial one epoch on, no longer running if it is at its end, diverged or set aside."""
        done = len(self.record.epochs)
        if done == len(self.curve.accuracy):
            return self._with(status="failed", reason="it diverged when it was recorded")
        report = {
            "epoch": done + 1,
            "seconds": self.curve.seconds,
            "accuracy": self.curve.accuracy[done],
            "averaged_accuracy": self.curve.averaged[done],
        }
        self._with(epochs=(*self.record.epochs, report))
        if done + 1 == epochs:
            return self._with(status="complete")
        if done + 1 == self.until:
            return self._with(status="paused")
        stopped = isinstance(jobs, Stopping) and not jobs.goes_on(self.record)
        return self._with(status="stopped") if stopped else self.record

    def _with(self, **update: object) -> TrialRecord:
        self.record = self.record.model_copy(update=update)
        return self.record


def _sized(record: TrialRecord, curve: Curve) -> TrialRecord:
    sizes = {"parameter_count": curve.sizes["parameters"]}
    sizes |= {name: curve.sizes[name] for name in ("macs", "bytes")}
    return record.model_copy(update=sizes)
