"""How far a phase of a study is, and the time it has left."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence

from kdsearch.results.durations import duration
from kdsearch.results.record import TrialRecord


class Progress:
    """Counts of one phase, and the time it has left.

    Args:
        phase: ``search`` or ``finalists``.
        total: Trainings in all; ``None`` where their outcomes decide.
        done: Trainings ended before this run.
        most: Epochs that are expected of all trainings, where that is known.
    """

    def __init__(
        self,
        phase: str,
        total: int | None,
        done: Sequence[TrialRecord],
        most: float | None = None,
    ) -> None:
        self.phase, self.total = phase, total
        self._ended = Counter(record.status for record in done if record.ended)
        self._done = {record.number: len(record.epochs) for record in done}
        self._paused = {record.number for record in done if not record.ended}
        self._most = most
        self._before = self._share()
        self.running: dict[int, TrialRecord] = {}
        self._seconds: list[float] = []
        self._start = time.monotonic()

    def started(self, record: TrialRecord) -> None:
        """Note a training that runs."""
        self._paused.discard(record.number)
        self.running[record.number] = record

    def paused(self, record: TrialRecord) -> None:
        """Count a training that is paused."""
        self._leave(record)
        self._paused.add(record.number)

    def ended(self, record: TrialRecord) -> None:
        """Count a training that has ended."""
        self._leave(record)
        self._ended[record.status] += 1

    def lost(self, record: TrialRecord) -> None:
        """Note a training whose process was lost."""
        self.running.pop(record.number, None)

    def _leave(self, record: TrialRecord) -> None:
        self.running.pop(record.number, None)
        self._paused.discard(record.number)
        self._done[record.number] = len(record.epochs)
        self._seconds.append(time.monotonic() - self._start)

    @property
    def left(self) -> float | None:
        """Seconds that the phase still takes at the pace so far; ``None`` before two have ended."""
        if len(self._seconds) < 2:
            return None
        gained = self._share() - self._before
        return self._seconds[-1] * (1 - self._share()) / gained if gained else None

    def _share(self) -> float:
        """How much is done, of the trainings or of the epochs, whichever is nearer to its end."""
        of_epochs = sum(self._done.values()) / self._most if self._most else 0.0
        if self.total is None:
            return min(1.0, of_epochs)
        return min(1.0, max(self._ended.total() / self.total if self.total else 1.0, of_epochs))

    def line(self) -> str:
        """Counts and time left in one line."""
        ended, left = self._ended, self.left
        paused = f", {len(self._paused)} paused" if self._paused else ""
        stopped = f", {ended['stopped']} stopped early" if ended["stopped"] else ""
        tail = f", about {duration(left)} left" if left else ""
        failed = f", {ended['failed']} failed" if ended["failed"] else ""
        of = "" if self.total is None else f" of {self.total}"
        return (
            f"{self.phase}: {ended['complete']}{of} complete{paused}{stopped}, "
            f"{len(self.running)} running{failed}{tail}"
        )
