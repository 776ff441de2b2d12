"""How well a network does on a split, by itself and beside a reference."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from kdsearch.data import Views
from kdsearch.data.balance import is_uneven
from kdsearch.models import Network

ECE_BINS = 15
"""Bins of confidence, of equal width (Guo et al. 2017)."""

_SCALARS = 5  # correct, nll, samples, agreement, kl


@dataclass(frozen=True)
class Evaluation:
    """Scores over a whole split.

    Attributes:
        accuracy: Share of samples whose largest logit is the label, in [0, 1].
        nll: Mean negative log-likelihood of the label, in nats.
        ece: Expected calibration error in [0, 1]: over 15 equal bins of confidence, the mean
            distance between accuracy and confidence (Guo et al. 2017, equation 3).
        agreement: Share of samples whose largest logit is the reference's, in [0, 1]; ``None``
            without a reference.
        kl: Mean KL(reference ‖ network) of the class probabilities, in nats; likewise.
        balanced_accuracy: Mean over the classes of the share of each that is predicted right
            (Brodersen et al. 2010); ``None`` where no class is so large that the accuracy misleads.
    """

    accuracy: float
    nll: float
    ece: float
    agreement: float | None = None
    kl: float | None = None
    balanced_accuracy: float | None = None

    def as_dict(self) -> dict[str, float]:
        """The scores that there are, by name."""
        return {name: value for name, value in asdict(self).items() if value is not None}


def evaluation_sums(
    network: Network,
    views: Views,
    index: Tensor,
    reference: Tensor | None = None,
    batch: int = 512,
) -> Tensor:
    """[5 + 3 · 15 + 2 · K] float64 sums over the samples at ``index``, to be added over workers.

    Correct predictions, negative log-likelihood, samples, agreements and divergences from the
    reference; then for each bin of confidence the samples, their confidence, and the correct ones;
    then for each class, up to the last that the split has, the samples and the correct ones.

    Args:
        network: Evaluated in eval mode and left in the mode it came in.
        views: The split.
        index: [N] samples of it.
        reference: Logits [len(views), K] of the network to compare with.
        batch: Samples at a time.
    """
    was_training = network.training
    network.eval()
    classes = int(views.split.labels.max()) + 1
    length = _SCALARS + 3 * ECE_BINS + 2 * classes
    sums = torch.zeros(length, dtype=torch.float64, device=index.device)
    with torch.no_grad():
        for part in index.split(batch):
            images, targets = views.batch(part, epoch=0)
            logits = network(images).float()
            beside = None if reference is None else reference[part].float()
            sums += _sums(logits, targets.labels, beside, classes)
    network.train(was_training)
    return sums


def summarise(sums: Tensor, compared: bool = False) -> Evaluation:
    """The evaluation that the sums of :func:`evaluation_sums` amount to.

    Args:
        sums: Over all samples.
        compared: Whether there was a reference.
    """
    correct, nll, count, agreed, divergence = sums[:_SCALARS].tolist()
    of_bins, of_classes = sums[_SCALARS:].tensor_split([3 * ECE_BINS])
    _, confidence, right = of_bins.view(3, ECE_BINS)
    return Evaluation(
        accuracy=correct / count,
        nll=nll / count,
        ece=float((right - confidence).abs().sum()) / count,
        agreement=agreed / count if compared else None,
        kl=divergence / count if compared else None,
        balanced_accuracy=_balanced(*of_classes.view(2, -1)),
    )


def _balanced(samples: Tensor, correct: Tensor) -> float | None:
    """Balanced accuracy by the samples and the correct ones of each class [K], if it is needed."""
    if not is_uneven(samples):
        return None
    there = samples > 0
    return float((correct[there] / samples[there]).mean())


def _sums(logits: Tensor, labels: Tensor, reference: Tensor | None, classes: int) -> Tensor:
    log_p = F.log_softmax(logits, dim=1)
    confidence, predicted = log_p.exp().max(dim=1)
    correct = (predicted == labels).double()
    if reference is None:
        agreed = divergence = correct.new_zeros(())
    else:
        log_r = F.log_softmax(reference, dim=1)
        agreed = (predicted == reference.argmax(dim=1)).double().sum()
        divergence = F.kl_div(log_p, log_r, reduction="sum", log_target=True).double()
    nll = F.nll_loss(log_p, labels, reduction="sum").double()
    scalars = [correct.sum(), nll, correct.new_tensor(len(labels)), agreed, divergence]
    # products with one-hot places sum in one fixed order, also on a GPU
    member = F.one_hot(labels, classes).double()
    of_classes = (member.sum(dim=0), correct @ member)
    return torch.cat([torch.stack(scalars), *_bins(confidence.double(), correct), *of_classes])


def _bins(confidence: Tensor, correct: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Samples, confidence and correct predictions of each bin ((b − 1)/15, b/15]."""
    place = ((confidence * ECE_BINS).ceil().long() - 1).clamp(0, ECE_BINS - 1)
    member = F.one_hot(place, ECE_BINS).double()
    return member.sum(dim=0), confidence @ member, correct @ member
