"""Successive halving: every trial is put aside at each rung, and the best of those go on."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from kdsearch.results.objectives import Objectives
from kdsearch.results.preference import neighbour_order, preference
from kdsearch.results.record import TrialRecord
from kdsearch.results.sweep import places, rung_epochs
from kdsearch.space.cost import trial_lengths
from kdsearch.spec.searching import SearchSection
from kdsearch.spec.study import StudySpec
from kdsearch.training.programs import total_epochs
from kdsearch.training.reports import AVERAGED
from kdsearch.training.task import Task

Order = Callable[[np.ndarray, int], list[int]]
"""The order in which the first so many of points [N, M] go on, all objectives to be made small."""


class Halving:
    """Knows who has reached which rung, and who goes on from there.

    A trial that is put aside is not lost: it goes on as soon as it is among the best of its rung,
    also when others that have come since made it so (Li et al. 2020, "A System for Massively
    Parallel Hyperparameter Tuning", algorithm 2, promotes alike, by one objective).

    Args:
        search: The section of the spec.
    """

    def __init__(self, search: SearchSection) -> None:
        self._scheduler = search.scheduler
        self._objectives = Objectives.of(search)
        self._rungs = [_Rung(self._order) for _ in self._scheduler.rungs]

    def rungs(self, task: Task) -> tuple[int, ...]:
        """The epochs of a training's reports after which it is put aside."""
        return self._marks(total_epochs(task))

    def _marks(self, epochs: int) -> tuple[int, ...]:
        if self._scheduler.name == "none":
            return ()
        return rung_epochs(epochs, self._scheduler.rungs)

    def until(self, record: TrialRecord) -> int | None:
        """The epochs at the next rung of a trial; ``None`` where only its end is ahead."""
        done = len(record.epochs)
        return next((rung for rung in self.rungs(record.task) if rung > done), None)

    def averaged_after(self, task: Task) -> tuple[int, ...]:
        """The epochs after which a training must score its averaged weights."""
        return self.rungs(task) if self._scheduler.score == "ema" else ()

    def expected_epochs(self, epochs: int) -> float:
        """The epochs of one of many trials, if just one in ``reduction`` went on from each rung.

        Some more do, as others that come later displace them.

        Args:
            epochs: Of a whole training.
        """
        marks = np.array([0, *self._marks(epochs), epochs])
        reaching = self._scheduler.reduction ** -np.arange(len(marks) - 1.0)
        return float(np.diff(marks) @ reaching)

    def reached(self, record: TrialRecord, waits: bool = True) -> None:
        """Note a trial whose latest epoch is a rung.

        Args:
            record: The trial.
            waits: Whether it may go on; others are compared with it in any case.
        """
        place = self.rungs(record.task).index(len(record.epochs))
        self._rungs[place].add(record, self._point(record), waits)

    def next_to_go_on(self, room: float = math.inf, anyone: bool = False) -> TrialRecord | None:
        """A trial that goes on, and waits no longer; the last rung is looked at first.

        Args:
            room: Epochs that its training may still take, up to its end.
            anyone: Whether those that are not among the best of their rung go on as well, the
                best of them first.
        """
        for rung in reversed(self._rungs):
            share = 1.0 if anyone else self._scheduler.reduction
            record = rung.take_best(share, room)
            if record is not None:
                return record
        return None

    def _order(self, points: np.ndarray, count: int) -> list[int]:
        if self._scheduler.name == "neighbours":
            return neighbour_order(points, self._scheduler.neighbours)
        return preference(points, count)

    def _point(self, record: TrialRecord) -> list[float]:
        """Loss and log sizes after the latest epoch."""
        prefix = "" if self._scheduler.score == "raw" else AVERAGED
        loss = self._objectives.loss(record.epochs[-1], prefix)
        return [loss, *self._objectives.log_sizes(record)]


def expected_epochs(spec: StudySpec) -> float:
    """About how many epochs the trials of a search take together."""
    halving, lengths = Halving(spec.search), trial_lengths(spec)
    each = sum(halving.expected_epochs(length) for length in lengths) / len(lengths)
    return min(spec.search.trials * each, spec.search.max_epochs or math.inf)


class _Rung:
    """The trials that have reached a rung, and which of them still wait there.

    Args:
        order: In which order they go on.
    """

    def __init__(self, order: Order) -> None:
        self._order = order
        self._records: list[TrialRecord] = []
        self._points: list[list[float]] = []
        self._waiting: set[int] = set()
        self._ordered: list[int] = []
        self._known = (0, 0)

    def add(self, record: TrialRecord, point: list[float], waits: bool) -> None:
        if waits:
            self._waiting.add(len(self._records))
        self._records.append(record)
        self._points.append(point)

    def take_best(self, reduction: float, room: float) -> TrialRecord | None:
        """The first that waits among the best ``1 / reduction`` of all, and fits into the room."""
        count = places(len(self._records), reduction)
        if not self._waiting or not count:
            return None
        if self._known != (len(self._records), count):
            self._known = (len(self._records), count)
            self._ordered = self._order(np.array(self._points), count)
        for place in self._ordered[:count]:
            record = self._records[place]
            if place in self._waiting and _left(record) <= room:
                self._waiting.remove(place)
                return record
        return None


def _left(record: TrialRecord) -> int:
    """Epochs up to the end of a training."""
    return total_epochs(record.task) - len(record.epochs)
