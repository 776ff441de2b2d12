"""Successive halving: every trial pauses at each rung, and the best of those go on."""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import product, starmap
from statistics import fmean

import numpy as np

from kdsearch.errors import ModelError
from kdsearch.results.cost import trial_lengths
from kdsearch.results.objectives import Objectives
from kdsearch.results.preference import neighbour_order, preference
from kdsearch.results.record import TrialRecord
from kdsearch.results.sweep import rung_places
from kdsearch.search.budget import whole_budget
from kdsearch.search.rounds import epochs_of_settings
from kdsearch.space.space import Space
from kdsearch.spec.study import StudySpec
from kdsearch.training.programs import judged_epochs, total_epochs
from kdsearch.training.reports import AVERAGED
from kdsearch.training.stages import stages_of
from kdsearch.training.task import Task


@dataclass
class _Rung:
    """The trials that have reached a rung, and the places of those that still wait there."""

    records: list[TrialRecord] = field(default_factory=list)
    waiting: set[int] = field(default_factory=set)


class Halving:
    """Knows who has reached which rung, and who goes on from there.

    A trial that pauses is not lost: it goes on as soon as it is among the best of its rung, also
    when others that have come since made it so (Li et al. 2020, "A System for Massively Parallel
    Hyperparameter Tuning", algorithm 2, promotes alike, by one objective).
    """

    def __init__(self, spec: StudySpec) -> None:
        self._scheduler = spec.search.scheduler
        self._prefix = "" if self._scheduler.score == "raw" else AVERAGED
        self._objectives = Objectives.of(spec)
        self._rungs = [_Rung() for _ in self._scheduler.rungs]

    def rungs(self, task: Task) -> tuple[int, ...]:
        """The epochs of a training's reports after which it pauses; none is a forebear's, or of
        a stage in which the network is not yet the student."""
        return tuple(sorted(self._places(task)))

    def _places(self, task: Task) -> dict[int, int]:
        """These epochs, each with its rung: of a short last stage, several rungs may be one."""
        return self._marks(total_epochs(task), judged_epochs(task))

    def _marks(self, epochs: int, own: int) -> dict[int, int]:
        if self._scheduler.name == "none":
            return {}
        return rung_places(own, self._scheduler.rungs, epochs - own)

    def until(self, record: TrialRecord) -> int | None:
        """The epochs at the next rung of a trial; ``None`` where only its end is ahead."""
        done = len(record.epochs)
        return next((rung for rung in self.rungs(record.task) if rung > done), None)

    def averaged_after(self, task: Task) -> tuple[int, ...]:
        """The epochs after which a training must score its averaged weights."""
        return self.rungs(task) if self._scheduler.score == "ema" else ()

    def expected_epochs(self, epochs: int, own: int) -> float:
        """The epochs of one of many trials, if just one in ``reduction`` went on from each rung.

        Some more do, as others that come later displace them.

        Args:
            epochs: Of a whole training.
            own: Those of them that are not its forebears'.
        """
        marks = np.array([0, *sorted(self._marks(epochs, own)), epochs])
        reaching = self._scheduler.reduction ** -np.arange(len(marks) - 1.0)
        return float(np.diff(marks) @ reaching)

    def reached(self, record: TrialRecord, waits: bool = True) -> None:
        """Note a trial whose latest epoch is a rung.

        Args:
            waits: Whether it may go on; others are compared with it in any case.
        """
        rung = self._rungs[self._places(record.task)[len(record.epochs)]]
        if waits:
            rung.waiting.add(len(rung.records))
        rung.records.append(record)

    def next_to_go_on(self, room: float = math.inf, anyone: bool = False) -> TrialRecord | None:
        """A trial that goes on, and waits no longer; the last rung is looked at first.

        Args:
            room: Epochs that its training may still take, up to its end.
            anyone: Whether those that are not among the best of their rung go on as well, the
                best of them first.
        """
        for rung in reversed(self._rungs):
            count = len(rung.records)
            going = count if anyone else math.floor(count / self._scheduler.reduction)
            if not (rung.waiting and going):
                continue
            for place in self._order(rung.records, going)[:going]:
                record = rung.records[place]
                left = total_epochs(record.task) - len(record.epochs)
                if place in rung.waiting and left <= room:
                    rung.waiting.remove(place)
                    return record
        return None

    def _order(self, records: list[TrialRecord], count: int) -> list[int]:
        """Indices of the records, the best ``count`` first; those that miss a bound last."""
        points = self._objectives.costs(records, self._prefix)
        latest = [each.epochs[-1] for each in records]
        lacking = ~np.array([self._objectives.suffices(each, self._prefix) for each in latest])
        order: list[int] = []
        for members in (np.flatnonzero(~lacking), np.flatnonzero(lacking)):
            if len(members) and len(order) < count:
                order += [int(members[place]) for place in self._preferred(points[members], count)]
        return order

    def _preferred(self, points: np.ndarray, count: int) -> list[int]:
        if self._scheduler.name == "neighbours":
            return neighbour_order(points, self._scheduler.neighbours)
        return preference(points, count)


def trials_of_settings(spec: StudySpec) -> float:
    """About how many trials compare settings: all of a search, or those of a ladder that do."""
    search, epochs = spec.search, spec.search.ladder.shortened(spec.training.epochs)
    if search.strategy != "ladder":
        return search.trials
    of_one = Halving(spec).expected_epochs(epochs, epochs)
    return epochs_of_settings(spec) / of_one


def expected_epochs(space: Space) -> float:
    """About how many epochs the trials of a search take together; of a ladder, at most."""
    spec = space.spec
    if spec.search.strategy == "ladder":
        return whole_budget(spec)
    owns = [_own_epochs(space, label) for label in spec.ways]
    lengths = product(trial_lengths(spec), owns)
    each = fmean(starmap(Halving(spec).expected_epochs, lengths))
    return min(spec.search.trials * each, spec.search.max_epochs or math.inf)


def _own_epochs(space: Space, label: str) -> int:
    """Epochs of the students themselves that a way makes, with the first of its probes that has
    stages in the training."""
    for ways in space.way_probes(label):
        with suppress(ModelError):
            return stages_of(ways, space.spec.training.epochs)[-1].epochs
    raise AssertionError("a study has no way that none of its students can have")
