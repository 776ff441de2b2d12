"""How well a network does on a split."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from kdsearch.data import Views
from kdsearch.models import Network


@dataclass(frozen=True)
class Evaluation:
    """Scores over a whole split.

    Attributes:
        accuracy: Share of samples whose largest logit is the label, in [0, 1].
        nll: Mean negative log-likelihood of the label, in nats.
    """

    accuracy: float
    nll: float


def evaluation_sums(network: Network, views: Views, index: Tensor, batch: int = 512) -> Tensor:
    """[3] float64: correct answers, summed negative log-likelihood, samples at ``index``.

    The network is evaluated in eval mode and left in the mode it came in.
    """
    was_training = network.training
    network.eval()
    sums = torch.zeros(3, dtype=torch.float64, device=index.device)
    with torch.no_grad():
        for part in index.split(batch):
            images, targets = views.batch(part, epoch=0)
            logits = network(images).float()
            correct = (logits.argmax(dim=1) == targets.labels).sum()
            nll = F.cross_entropy(logits, targets.labels, reduction="sum")
            sums += torch.stack(
                [correct.double(), nll.double(), nll.new_tensor(len(part)).double()]
            )
    network.train(was_training)
    return sums


def summarise(sums: Tensor) -> Evaluation:
    """The evaluation that summed counts [3] amount to."""
    correct, nll, count = sums.tolist()
    return Evaluation(accuracy=correct / count, nll=nll / count)
