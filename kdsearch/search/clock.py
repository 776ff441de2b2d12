"""Which outcomes count when the next training is chosen: those, and no others, at any speed."""

from __future__ import annotations

import heapq
from collections.abc import Iterator

from kdsearch.results.record import TrialRecord

SLACK = 2
"""How many times its share of the workers' time a training may take before others wait for it."""


class FeedbackClock:
    """The trainings that were handed out, each with the moment at which its outcome counts.

    The clock counts the epochs that were handed out. Workers that are equally fast have done E
    epochs each when ``workers`` · E were handed out; a training of E epochs is due after twice as
    many. Which trainings are due then follows from what was handed out alone, and not from how fast
    each was: the same spec and seed take the same course at any speed. The price is that a worker
    may wait for a training that takes more than twice its share of the time.

    Args:
        workers: Trainings at a time.
    """

    def __init__(self, workers: int) -> None:
        self._slack = SLACK * workers
        self._clock = 0.0
        self._count = 0
        self._waiting: list[tuple[float, int, TrialRecord]] = []

    def hand_out(self, record: TrialRecord, epochs: float) -> None:
        """Note a training that is handed out, and how many epochs it may take."""
        due = self._clock + self._slack * epochs
        heapq.heappush(self._waiting, (due, self._count, record))
        self._clock += epochs
        self._count += 1

    def due(self) -> Iterator[TrialRecord]:
        """The trainings whose outcomes count from now on; each is over once the next is asked for.

        Whoever cannot go on with one, since its outcome is not there, finds it again as the first.
        """
        while self._waiting and self._waiting[0][0] <= self._clock:
            yield self._waiting[0][2]
            heapq.heappop(self._waiting)

    def skip(self) -> bool:
        """Put the clock on to the next that becomes due; ``False`` when none is left."""
        if not self._waiting:
            return False
        self._clock = max(self._clock, self._waiting[0][0])
        return True
