"""Work for the trial actors: where it comes from and where its outcomes go."""

from __future__ import annotations

from abc import ABC, abstractmethod

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
