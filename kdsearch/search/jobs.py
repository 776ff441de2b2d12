"""Work for the trial actors: jobs proposed by Optuna, or listed beforehand."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

from kdsearch.search.record import TrialRecord


class NoMoreJobs(Exception):  # noqa: N818 - a signal, not an error
    """Every job has been handed out."""


class Jobs(ABC):
    """Where trainings come from and where their outcomes go."""

    @abstractmethod
    def next(self) -> TrialRecord | None:
        """The next training; ``None`` when an outcome must come in first.

        Raises:
            NoMoreJobs: There will be no other.
        """

    @abstractmethod
    def ended(self, record: TrialRecord) -> None:
        """Take in the outcome of a training."""


class ListedJobs(Jobs):
    """Trainings known beforehand.

    Args:
        records: All of them.
        finished: Those that have ended before, by number; they are not handed out.
    """

    def __init__(self, records: Sequence[TrialRecord], finished: Mapping[int, TrialRecord]) -> None:
        self._waiting = [record for record in records if record.number not in finished]

    def next(self) -> TrialRecord | None:
        if not self._waiting:
            raise NoMoreJobs
        return self._waiting.pop(0)

    def ended(self, record: TrialRecord) -> None:
        """Nothing follows from the outcome of a listed training."""
