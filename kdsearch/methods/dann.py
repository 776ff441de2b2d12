"""Domain-adversarial training: no classifier can tell from an embedding where it comes from."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from kdsearch.methods.domains import DomainMethod, embedded, shares
from kdsearch.methods.hyperparameter import Hyperparameter
from kdsearch.methods.targets import Targets
from kdsearch.models.signals import Signals, SignalShapes
from kdsearch.spec.ranges import Range

_STEEPNESS = 10.0
"""γ, how fast the reversed gradient comes in."""


def domain_loss(scores: Tensor, target: Tensor) -> Tensor:
    """Binary cross-entropy of the domain, the mean of the source's mean and the target's.

    Ganin et al. 2016, equation 6, where a batch holds as many samples of both.

    Args:
        scores: a [B], the target's probability being sigmoid(a).
        target: Which samples are of the target domain, [B] bool.
    """
    each = F.binary_cross_entropy_with_logits(scores, target.to(scores.dtype), reduction="none")
    of_source, of_target = shares(target, scores)
    return (each * (of_source + of_target)).sum() / 2


def reversal(progress: float) -> float:
    """λ = 2 / (1 + exp(−10 p)) − 1 (Ganin et al. 2016, section 5.2.2).

    Args:
        progress: p, the share of the training that is done, in [0, 1].
    """
    return 2 / (1 + math.exp(-_STEEPNESS * progress)) - 1


class DANN(DomainMethod):
    """A classifier learns to tell the domains apart, and the student to deceive it; two parts.

    ``classifier`` trains the domain classifier alone, at its full gradient all along, as the paper
    has it. ``reversal`` is the same loss times −λ with the classifier's weights as given: of the
    student it is the gradient behind a layer that reverses it. λ rises from 0 to 1, so at first
    the classifier learns alone.

    Attributes:
        classifier: A perceptron with one hidden layer; no part of the student.
    """

    name = "dann"
    paper = "Ganin et al. 2016, Domain-Adversarial Training of Neural Networks"
    relative_cost = 1.1
    helper_parts = frozenset({"classifier"})
    hyperparameters = {
        "weight": Hyperparameter(
            1.0, Range(low=0.01, high=1.0, log=True), "weight of the reversed gradient"
        ),
        "width": Hyperparameter(
            100.0, None, "units of the domain classifier's hidden layer", whole=True, minimum=1.0
        ),
    }

    def __init__(
        self, student: SignalShapes, teacher: SignalShapes, **hyperparameters: float
    ) -> None:
        super().__init__(student, teacher, **hyperparameters)
        width = int(self.values["width"])
        self.classifier = nn.Sequential(
            nn.Linear(student.embedding, width), nn.ReLU(), nn.Linear(width, 1)
        )

    def forward(
        self, student: Signals, teacher: Signals, targets: Targets, progress: float
    ) -> dict[str, Tensor]:
        """``{"reversal": scalar, "classifier": scalar}``; the teacher is not read."""
        embeddings, target = embedded(student, targets)
        trained = [(layer.weight, layer.bias) for layer in self._layers]
        given = [(weight.detach(), bias.detach()) for weight, bias in trained]
        deceived = domain_loss(_scores(embeddings, given), target)
        return {
            "reversal": -reversal(progress) * deceived,
            "classifier": domain_loss(_scores(embeddings.detach(), trained), target),
        }

    @property
    def _layers(self) -> list[nn.Linear]:
        return [layer for layer in self.classifier if isinstance(layer, nn.Linear)]


def _scores(embeddings: Tensor, layers: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
    """a [B] of embeddings [B, D], in the layers' precision."""
    (inner, inner_bias), (outer, outer_bias) = layers
    hidden = F.linear(embeddings.to(inner.dtype), inner, inner_bias).relu()
    return F.linear(hidden, outer, outer_bias).squeeze(1).to(embeddings.dtype)
