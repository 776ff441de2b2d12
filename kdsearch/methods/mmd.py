"""Maximum mean discrepancy between the embeddings of two domains."""

from __future__ import annotations

import torch
from torch import Tensor

from kdsearch.methods.domains import DomainMethod, embedded, shares
from kdsearch.methods.hyperparameter import Hyperparameter
from kdsearch.methods.targets import Targets
from kdsearch.models.signals import Signals
from kdsearch.spec.ranges import Range

POWERS = (-2, -1, 0, 1, 2)
"""The kernels' bandwidths are the mean squared distance times 2 to these powers."""


def mmd_loss(embeddings: Tensor, target: Tensor) -> Tensor:
    """mean k(s, s') + mean k(t, t') − 2 mean k(s, t), k a mean of five Gaussian kernels.

    Gretton et al. 2012, equation 5 (biased, so never below 0); k(x, y) = mean_u exp(−‖x − y‖² /
    (2^u σ²)), σ² the mean of ‖x − y‖² over the pairs of a batch, taken as given. 0 where the batch
    lacks a domain. Memory grows as B².

    Args:
        embeddings: [B, D].
        target: Which samples are of the target domain, [B] bool.
    """
    distances = _squared_distances(embeddings)
    count = len(embeddings)
    mean = distances.detach().sum() / max(count * (count - 1), 1)
    scaled = distances / mean.clamp(min=torch.finfo(mean.dtype).tiny)
    kernel = torch.stack([torch.exp(-scaled / 2.0**power) for power in POWERS]).mean(dim=0)
    of_source, of_target = shares(target, embeddings)
    difference = of_source - of_target
    return (difference @ kernel @ difference) * (target.any() & ~target.all())


def _squared_distances(embeddings: Tensor) -> Tensor:
    """[B, B] by ‖x‖² + ‖y‖² − 2 x·y about the mean, which loses fewer digits than about 0."""
    centred = embeddings - embeddings.detach().mean(dim=0)
    squares = centred.square().sum(dim=1)
    distances = squares[:, None] + squares - 2 * centred @ centred.T
    return distances.clamp(min=0)


class MMD(DomainMethod):
    """The distributions of the student's embeddings meet in source and target; part ``mmd``.

    Of the paper this is the discrepancy with several kernels in the layer before the last. The
    kernels count alike, and all pairs of the batch are compared, where the paper learns the
    kernels' shares and compares each sample with one other. The paper tries weights of 0.1 to 2.
    """

    name = "mmd"
    paper = (
        "Long, Cao, Wang & Jordan 2015, Learning Transferable Features with Deep Adaptation "
        "Networks"
    )
    batchwise = True
    hyperparameters = {
        "weight": Hyperparameter(
            1.0, Range(low=0.1, high=20.0, log=True), "weight of the discrepancy"
        ),
    }

    def forward(
        self, student: Signals, teacher: Signals, targets: Targets, progress: float
    ) -> dict[str, Tensor]:
        """``{"mmd": scalar}``; the teacher is not read."""
        return {"mmd": mmd_loss(*embedded(student, targets))}
