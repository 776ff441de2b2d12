"""Early ends of a study's trials, decided alike at any speed and after any resume."""

from __future__ import annotations

import math
from bisect import bisect_right

import numpy as np

from kdsearch.search.objectives import Objectives
from kdsearch.search.record import TrialRecord
from kdsearch.search.rungs import goes_on, goes_on_among_neighbours, rung_epochs
from kdsearch.spec.searching import SearchSection
from kdsearch.training.courses import total_epochs
from kdsearch.training.reports import AVERAGED
from kdsearch.training.task import Task

Point = tuple[float, ...]
"""Loss and log sizes."""


class Halving:
    """Decides at each rung which trials go on.

    A trial is compared with those that reached the same rung before it, loss against log sizes.
    Which trials those are is a function of its number alone, so all that this holds can be had
    again from the records of the ended trials.

    Args:
        search: The section of the spec.
    """

    def __init__(self, search: SearchSection) -> None:
        self._scheduler = search.scheduler
        self._objectives = Objectives.of(search)
        self._rungs = [_Rung() for _ in self._scheduler.rungs]

    def rungs(self, task: Task) -> tuple[int, ...]:
        """The epochs of a training's reports after which it is compared."""
        if self._scheduler.name == "none":
            return ()
        return rung_epochs(total_epochs(task), self._scheduler.rungs)

    def averaged_after(self, task: Task) -> tuple[int, ...]:
        """The epochs after which a training must score its averaged weights."""
        return self.rungs(task) if self._scheduler.score == "ema" else ()

    def expected_share(self, task: Task) -> float:
        """How much of a whole training one of many trials takes, if one in ``reduction`` goes on.

        The first trials, with which nobody can be compared, and those that come ever better, take
        more.
        """
        marks = np.array([0, *self.rungs(task), total_epochs(task)]) / total_epochs(task)
        reaching = self._scheduler.reduction ** -np.arange(len(marks) - 1.0)
        return float(np.diff(marks) @ reaching)

    def take_in(self, record: TrialRecord) -> None:
        """Note how an ended trial stood at its rungs; one that failed is compared with nobody."""
        if record.status == "failed":
            return
        for rung, point in zip(self._rungs, self._points(record), strict=False):
            rung.add(record.number, point)

    def goes_on(self, record: TrialRecord, latest: int) -> bool:
        """Whether a trial is trained further after its latest report.

        Args:
            record: The running trial, its latest report included.
            latest: The last trial, by number, that it is compared with.
        """
        points = self._points(record)
        if not points or record.epochs[-1]["epoch"] != self.rungs(record.task)[len(points) - 1]:
            return True
        own = np.array(points[-1])
        others = self._rungs[len(points) - 1].until(latest).reshape(-1, len(own))
        scheduler = self._scheduler
        if scheduler.name == "neighbours":
            return goes_on_among_neighbours(own, others, scheduler.reduction, scheduler.neighbours)
        return goes_on(own, others, scheduler.reduction)

    def _points(self, record: TrialRecord) -> list[Point]:
        """Loss and log sizes at each rung that a trial has reached."""
        prefix = "" if self._scheduler.score == "raw" else AVERAGED
        marks = set(self.rungs(record.task))
        sizes = [math.log10(record.size(name)) for name in self._objectives.sizes]
        return [
            (self._objectives.loss(each, prefix), *sizes)
            for each in record.epochs
            if each["epoch"] in marks
        ]


class _Rung:
    """The points of the trials that have reached a rung, by number."""

    def __init__(self) -> None:
        self._numbers: list[int] = []
        self._points: list[Point] = []

    def add(self, number: int, point: Point) -> None:
        place = bisect_right(self._numbers, number)
        self._numbers.insert(place, number)
        self._points.insert(place, point)

    def until(self, latest: int) -> np.ndarray:
        """[N, M] those of the trials up to a number, that one included."""
        return np.array(self._points[: bisect_right(self._numbers, latest)])
