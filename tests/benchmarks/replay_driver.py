"""What a replayed trial takes of the driver: proposal, choice of who goes on, outcome."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from replay import Replay

from kdsearch.execution.jobs import Jobs, RungStage
from kdsearch.results.record import TrialRecord

COUNTS = (10, 100, 1_000)
"""Trials after which the driver's time is read."""

Found = TypeVar("Found")


class Timed(Jobs):
    """Jobs with the time of this process that they take.

    Args:
        jobs: The jobs.

    Attributes:
        seconds: By trials that were begun, processor seconds until then.
    """

    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs
        self._spent = 0.0
        self.seconds = [0.0]

    def next(self) -> TrialRecord | None:
        record = self._timed(self._jobs.next)
        if record is not None and not record.epochs:
            self.seconds.append(self._spent)
        return record

    def stage(self, record: TrialRecord) -> RungStage:
        return self._timed(lambda: self._jobs.stage(record))

    def ended(self, record: TrialRecord) -> None:
        self._timed(lambda: self._jobs.ended(record))

    def _timed(self, act: Callable[[], Found]) -> Found:
        start = time.process_time()
        try:
            return act()
        finally:
            self._spent += time.process_time() - start


def driver_ms(replay: Replay, jobs: Jobs) -> dict[str, float]:
    """Milliseconds of a trial, over the last tenth of so many trials.

    Args:
        replay: The replay.
        jobs: The jobs of a search of at least as many trials.
    """
    timed = Timed(jobs)
    replay.run(timed, float("inf"))
    found = {}
    for count in COUNTS:
        since = count - max(1, count // 10)
        spent = timed.seconds[count] - timed.seconds[since]
        found[str(count)] = 1_000 * spent / (count - since)
    return found
