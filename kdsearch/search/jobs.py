"""Work for the trial actors: where it comes from and where its outcomes go."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

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

    def averaged_after(self, record: TrialRecord) -> Sequence[int]:
        """Epochs after which a training scores its averaged weights too."""
        return ()

    def goes_on(self, record: TrialRecord) -> bool:
        """Whether a training that has finished an epoch, but not its last, is trained further."""
        return True

    @abstractmethod
    def ended(self, record: TrialRecord) -> None:
        """Take in the outcome of a training."""
