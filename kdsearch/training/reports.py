"""What a training tells after each epoch."""

from __future__ import annotations

from dataclasses import dataclass

from kdsearch.training.evaluation import Scores

AVERAGED = "averaged_"
"""Stands before the names of the averaged weights' scores."""


@dataclass(frozen=True)
class EpochReport:
    """What one finished epoch tells.

    Attributes:
        epoch: Number of finished epochs.
        loss: Mean training loss of the epoch.
        lr: Learning rate of the epoch's last step.
        seconds: Wall time of the epoch, evaluation included.
        scores: On the validation split.
        averaged: The same of the averaged weights, after a rung.
    """

    epoch: int
    loss: float
    lr: float
    seconds: float
    scores: Scores
    averaged: Scores | None = None

    def as_dict(self) -> dict[str, float]:
        """The report as plain numbers, the scores by their names among them."""
        own = {"epoch": self.epoch, "loss": self.loss, "lr": self.lr, "seconds": self.seconds}
        averaged = self.averaged or {}
        return own | self.scores | {AVERAGED + name: score for name, score in averaged.items()}
