"""How far a chain of students with one choice of settings is trained, and what could come next."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from kdsearch.results.objectives import Objectives
from kdsearch.results.record import TrialRecord
from kdsearch.space.chains import Chain
from kdsearch.training.measured import MEASURED
from kdsearch.training.programs import total_epochs

STRIDE = 2
"""Places by which a chain goes down at a time. Those between are trained where that adds more."""


@dataclass(frozen=True)
class Step:
    """A student of a strand that could be trained next.

    Attributes:
        parent: Place of the student that it is cut from; ``None``: it is trained in full.
        place: Its own.
    """

    parent: int | None
    place: int


@dataclass
class Strand:
    """The students of a chain with settings that were found good.

    Attributes:
        chain: Their sizes.
        students: All of them with these settings, to be trained in full, by place; ``None``: there
            can be none.
        link: Epochs for which one is trained that is cut from another; ``None``: each is trained in
            full.
        done: Those of them that are trained, by place.
        running: Places of those that are being trained.
        failed: Places of those that failed.
    """

    chain: Chain
    students: Sequence[TrialRecord | None]
    link: int | None
    done: dict[int, TrialRecord] = field(default_factory=dict)
    running: set[int] = field(default_factory=set)
    failed: set[int] = field(default_factory=set)

    def steps(self) -> Iterator[Step]:
        """What could be trained next.

        First the student in the middle, in full. Then the widest, in full; those below, each cut
        from the one before if it can be; and those between two that are done.
        """
        able = [place for place, each in enumerate(self.students) if each is not None]
        if not able:
            return
        if not self.done:
            middle = min(able, key=lambda place: abs(place - self.chain.middle))
            yield from self._free(None, middle)
            return
        if able[0] not in self.done:
            yield from self._free(None, able[0])
        places = sorted(self.done)
        for wide, narrow in pairwise(places):
            yield from self._free(wide, wide + min(STRIDE, (narrow - wide) // 2))
        last = len(self.students) - 1
        yield from self._free(places[-1], min(places[-1] + STRIDE, last))

    def _free(self, parent: int | None, place: int) -> Iterator[Step]:
        taken = self.done.keys() | self.running | self.failed
        if place not in taken and self.students[place] is not None:
            yield Step(None if self.link is None else parent, place)

    def student(self, place: int) -> TrialRecord:
        """The student at a place that a step leads to."""
        student = self.students[place]
        assert student is not None, "a step leads to a student that there can be"
        return student

    def epochs(self, step: Step) -> int:
        """What the training of a step takes."""
        if step.parent is None or self.link is None:
            return total_epochs(self.student(step.place).task)
        return self.link

    def path(self, step: Step) -> list[int]:
        """The places that a chain goes through from a step on, up to the next that is done."""
        end = min((place for place in self.done if place > step.place), default=len(self.students))
        found = []
        for place in range(step.place, end, STRIDE):
            if self.students[place] is None:
                break
            found.append(place)
        return found

    def expected(self, places: Sequence[int], objectives: Objectives) -> np.ndarray:
        """[N, 1 + sizes + more] what students would have, as :meth:`Objectives.costs`.

        Losses lie on straight lines over the logarithm of parameters between those that are known,
        and go on beyond them as between the nearest two, but never so that a smaller student would
        be better than a larger one. Sizes that only a trained student tells go with parameters.
        """
        known = sorted(self.done.values(), key=lambda each: each.parameter_count)
        costs = objectives.costs(known)
        logs = np.log10([each.parameter_count for each in known])
        rows = []
        for place in places:
            student = self.student(place)
            at = float(np.log10(student.parameter_count))
            nearest = int(np.abs(logs - at).argmin())
            row = np.array([_line(at, logs, losses) for losses in costs.T])
            for column, name in enumerate(objectives.sizes, start=1):
                row[column] = (
                    costs[nearest, column] + at - logs[nearest]
                    if name in MEASURED
                    else np.log10(student.size(name))
                )
            rows.append(row)
        return np.array(rows)


def _line(at: float, logs: np.ndarray, losses: np.ndarray) -> float:
    """A loss between known ones, or beyond them, over the logarithm of parameters."""
    if logs[0] <= at <= logs[-1] or len(logs) == 1:
        return float(np.interp(at, logs, losses))
    near, far = (0, 1) if at < logs[0] else (-1, -2)
    slope = min((losses[near] - losses[far]) / (logs[near] - logs[far]), 0.0)
    found = float(losses[near] + slope * (at - logs[near]))
    return max(found, 0.0) if losses.min() >= 0 else found
