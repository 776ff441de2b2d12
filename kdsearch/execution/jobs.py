"""Work for the trial actors: where it comes from and where its outcomes go."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple

from kdsearch.results.record import TrialRecord


class NoMoreJobs(Exception):  # noqa: N818 - a signal, not an error
    """Every job has been handed out."""


class RungStage(NamedTuple):
    """How far a training goes this time."""

    until: int | None = None
    """Epochs after which it is paused, those of earlier stages included; absent: it goes on to its
    end."""
    averaged: tuple[int, ...] = ()
    """Epochs after which averaged weights are scored too, in any stage."""


class Jobs(ABC):
    """Where trainings come from and where their outcomes go."""

    @abstractmethod
    def next(self) -> TrialRecord | None:
        """The next training; ``None`` when an outcome must come in first.

        One that was paused comes again with the reports of its epochs so far.

        Raises:
            NoMoreJobs: There will be no other.
        """

    def stage(self, record: TrialRecord) -> RungStage:
        """How far a training that was handed out goes; by itself to its end."""
        return RungStage()

    def keeps(self, record: TrialRecord) -> bool:
        """Whether a training's weights are kept for others that go on from it; by itself not."""
        return False

    @abstractmethod
    def ended(self, record: TrialRecord) -> None:
        """Take in the outcome of a training, or that it was paused."""
