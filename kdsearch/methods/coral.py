"""Deep CORAL: the embeddings of two domains have the same covariances."""

from __future__ import annotations

from torch import Tensor

from kdsearch.methods.domains import DomainMethod, embedded
from kdsearch.methods.hyperparameter import Hyperparameter
from kdsearch.methods.targets import Targets
from kdsearch.models.signals import Signals
from kdsearch.spec.ranges import Range


def coral_loss(embeddings: Tensor, target: Tensor) -> Tensor:
    """‖C_s − C_t‖²_F / (4 d²), C the unbiased covariances (Sun & Saenko 2016, equations 1 to 3).

    0 where a domain has fewer than two samples, which have no covariance.

    Args:
        embeddings: [B, d].
        target: Which samples are of the target domain, [B] bool.
    """
    counts = (~target).sum(), target.sum()
    difference = _covariance(embeddings, ~target) - _covariance(embeddings, target)
    both = (counts[0] > 1) & (counts[1] > 1)
    return difference.square().sum() * both / (4 * embeddings.shape[1] ** 2)


def _covariance(embeddings: Tensor, chosen: Tensor) -> Tensor:
    """[d, d] of the chosen samples; without a pair of them, of no meaning but finite."""
    weights = chosen.to(embeddings.dtype)
    count = weights.sum()
    mean = weights @ embeddings / count.clamp(min=1)
    centred = (embeddings - mean) * weights[:, None]
    return centred.T @ centred / (count - 1).clamp(min=1)


class CORAL(DomainMethod):
    """The covariances of the student's embeddings meet in source and target; part ``coral``.

    The paper compares what the last layer says; here it is the embedding before that. Means are
    left as they are. The weight is to be such that this loss and the cross-entropy are about equal
    at the end of a training, so it is searched widely.
    """

    name = "coral"
    paper = "Sun & Saenko 2016, Deep CORAL: Correlation Alignment for Deep Domain Adaptation"
    batchwise = True
    hyperparameters = {
        "weight": Hyperparameter(
            1.0, Range(low=0.1, high=100.0, log=True), "weight of the covariances"
        ),
    }

    def forward(
        self, student: Signals, teacher: Signals, targets: Targets, progress: float
    ) -> dict[str, Tensor]:
        """``{"coral": scalar}``; the teacher is not read."""
        return {"coral": coral_loss(*embedded(student, targets))}
