"""Which outcomes count when the next training is chosen."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from typing import Protocol

from kdsearch.results.record import TrialRecord
from kdsearch.spec.study import StudySpec

SLACK = 1.5
"""A training is due after so many times its predicted cost, and :func:`margin_of`."""

MOST_WORKERS, MOST_ON_GPUS = 32, 8
"""Trials at a time up to which the same course at any speed costs at most a tenth of their time."""


def margin_of(workers: int) -> float:
    """What is added until a training is due, in mean costs of all: a quarter of one to two.

    A short training must not be due before those that began beside it are far, and the more there
    are, the likelier one of them is late; but what a rung teaches comes later by it. Of what was
    tried (1.25 to 2 times the own cost, and 0.25 to 2 of the mean, by
    ``tests/benchmarks/utilisation.py`` and ``search_replay.py``), 2 cost 32 workers the least time,
    and with 0.25 four workers found the best front.
    """
    return min(max((workers / 8) ** 2, 0.25), 2.0)


def is_deterministic(spec: StudySpec) -> bool:
    """Whether a search takes the same course at any speed: as the spec says, or with few workers.

    The more trainings run at a time, the more often one of them takes so much longer than predicted
    that the others wait. With the measured seconds of the methods, which differ up to 34-fold, and
    one trial in 30 trained twice, the waiting of 32 workers costs 4 % of the time that they use
    otherwise, with halving, and 3 % without a scheduler (``tests/benchmarks/utilisation.py``).
    Costs were not measured on a GPU: where they are off by half (log-normal, σ = 0.5), it costs 8
    workers 9 % and 32 workers 18 %.
    """
    if spec.search.deterministic is not None:
        return spec.search.deterministic
    return _cheap(spec)


def _cheap(spec: StudySpec) -> bool:
    most = MOST_ON_GPUS if spec.resources.gpus_per_trial else MOST_WORKERS
    return spec.resources.concurrent <= most


def order_told(spec: StudySpec) -> str:
    """Which of the two orders a search has, and what that means, in a line for its user."""
    if spec.search.strategy != "ladder":
        return _order(spec)
    return f"{_order(spec)}; in either order, a student of a chain waits for its wider neighbour"


def _order(spec: StudySpec) -> str:
    if not is_deterministic(spec):
        return (
            "order: as outcomes come, so that the study does not repeat to the digit; no worker "
            "waits (search.deterministic=true: the same at any speed, for some waiting)"
        )
    digits = "; it repeats to the digit on one kind of machine"
    if spec.search.measures_latency:
        digits = "; it does not repeat to the digit all the same, since latency is measured"
    share = "at most" if _cheap(spec) else "with so many maybe more than"
    return (
        f"order: the same at any speed and after any kill{digits}; workers wait for outcomes "
        f"{share} a tenth of their time (search.deterministic=false: not at all)"
    )


class Clock(Protocol):
    """The trainings that were handed out and whose outcomes do not count yet."""

    def hand_out(self, record: TrialRecord, cost: float) -> None:
        """Note a training that is handed out, and what it is predicted to cost."""

    def due(self) -> Iterator[TrialRecord]:
        """The trainings whose outcomes count from now on; each is over once the next is asked for.

        Whoever cannot go on with one, since its outcome is not there, finds it again as the first.
        """

    def skip(self) -> bool:
        """Go on to the next outcome, since nothing can be handed out; ``False``: none is left."""


class FeedbackClock(Clock):
    """Counts the same outcomes at any speed, by the predicted costs of what was handed out.

    Workers of an imagined study take exactly what was predicted, and each training begins when the
    first of them is free. It is due after :data:`SLACK` times its cost and :func:`margin_of` mean
    costs. What is due then follows from what was handed out alone: the same spec and seed take the
    same course at any speed. The price is that a worker may wait for a training that takes much
    longer than it was predicted to.

    Args:
        workers: Trainings at a time.
    """

    def __init__(self, workers: int) -> None:
        self._free = [0.0] * workers
        self._margin = margin_of(workers)
        self._now = 0.0
        self._cost, self._count = 0.0, 0
        self._waiting: list[tuple[float, int, TrialRecord]] = []

    def hand_out(self, record: TrialRecord, cost: float) -> None:
        heapq.heapreplace(self._free, self._now + cost)
        self._cost += cost
        self._count += 1
        due = self._now + SLACK * cost + self._margin * self._cost / self._count
        heapq.heappush(self._waiting, (due, self._count, record))
        self._now = max(self._now, self._free[0])

    def due(self) -> Iterator[TrialRecord]:
        while self._waiting and self._waiting[0][0] <= self._now:
            yield self._waiting[0][2]
            heapq.heappop(self._waiting)

    def skip(self) -> bool:
        if not self._waiting:
            return False
        self._now = max(self._now, self._waiting[0][0])
        return True


class ArrivalClock(Clock):
    """Counts every outcome as soon as it is there: nobody waits, and no two courses are alike.

    Args:
        has_outcome: Whether it is known how a training that was handed out has come out.
    """

    def __init__(self, has_outcome: Callable[[TrialRecord], bool]) -> None:
        self._has_outcome = has_outcome
        self._running: list[TrialRecord] = []
        self._skipped = False

    def hand_out(self, record: TrialRecord, cost: float) -> None:
        self._running.append(record)

    def due(self) -> Iterator[TrialRecord]:
        """Those with an outcome; after a :meth:`skip` with none, one that must be waited for."""
        for record in [each for each in self._running if self._has_outcome(each)]:
            self._skipped = False
            yield record
            self._running.remove(record)
        if self._skipped:
            self._skipped = False
            yield self._running[0]

    def skip(self) -> bool:
        self._skipped = bool(self._running)
        return self._skipped
