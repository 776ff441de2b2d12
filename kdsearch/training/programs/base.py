"""What every training offers, whoever teaches."""

from __future__ import annotations

from typing import Any, Protocol

from kdsearch.models import Network
from kdsearch.training.evaluation import Scores
from kdsearch.training.reports import EpochReport


class TrainingProgram(Protocol):
    """What every training offers, whoever teaches.

    The simplest is :class:`~kdsearch.training.trainer.Trainer`.
    """

    @property
    def student(self) -> Network:
        """The network that is shipped."""

    @property
    def finished(self) -> bool:
        """Whether all epochs are done."""

    def train_epoch(self) -> EpochReport:
        """Train for one epoch and evaluate on the validation split."""

    def score_test(self) -> Scores:
        """Scores on the test split; for finalists alone, once, after the last epoch."""

    def state_dict(self) -> dict[str, Any]:
        """All that resuming needs."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from :meth:`state_dict` of the same task."""
