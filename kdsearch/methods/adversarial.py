"""Adversarial distillation: the student learns to be taken for the teacher."""

from __future__ import annotations

from abc import abstractmethod
from typing import cast

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from kdsearch.methods import inputs
from kdsearch.methods.base import Method
from kdsearch.methods.hyperparameter import Hyperparameter
from kdsearch.methods.targets import Targets
from kdsearch.models.signals import Signal, Signals, SignalShapes
from kdsearch.spec.ranges import Range

Layers = list[tuple[Tensor, Tensor]]
"""Weight [out, in] and bias [out] of each layer."""

_SLOPE = 0.2
"""Slope of the discriminator's leaky ReLU below 0."""


def discriminator_loss(teacher: Tensor, student: Tensor) -> Tensor:
    """−mean log D(t) − mean log(1 − D(s)), D = sigmoid of the score a.

    The discriminator's side of the game (Xu et al. 2018; Wang et al. 2018). −log D is
    softplus(−a) and −log(1 − D) is softplus(a): finite at any score.

    Args:
        teacher: Scores a of the teacher's outputs [B].
        student: Scores of the student's outputs [B].
    """
    return F.softplus(-teacher).mean() + F.softplus(student).mean()


def generator_loss(student: Tensor) -> Tensor:
    """−mean log D(s), the student's side, in the form that does not saturate.

    mean log(1 − D(s)) has the same fixed points, but hardly a gradient where the discriminator is
    sure that it sees the student.

    Args:
        student: Scores of the student's outputs [B].
    """
    return F.softplus(-student).mean()


def gradient_penalty(teacher: Tensor, layers: Layers) -> Tensor:
    """mean ‖∂a/∂x‖² / 2 at the teacher's standardised outputs x (Mescheder et al. 2018, R1).

    Without it the two sides chase each other for ever; with it the game comes to rest where the
    distributions are alike. The gradient of the perceptron is written out, so that it takes no
    second differentiation by autograd.

    Args:
        teacher: Outputs [B, D].
        layers: Of the discriminator.
    """
    hidden, slopes = _standardised(teacher, layers), []
    for weight, bias in layers[:-1]:
        before = F.linear(hidden, weight, bias)
        hidden = F.leaky_relu(before, _SLOPE)
        slopes.append(torch.where(before > 0, 1.0, _SLOPE).to(before.dtype))
    gradient = layers[-1][0]
    for slope, (weight, _) in zip(reversed(slopes), reversed(layers[:-1]), strict=True):
        gradient = (gradient * slope) @ weight
    return gradient.square().sum(dim=1).mean().to(teacher.dtype) / 2


def score(outputs: Tensor, layers: Layers) -> Tensor:
    """Scores a [B] of outputs [B, D]: high where they look like the teacher's.

    Each sample is first brought to mean 0 and variance 1, so that outputs of any size give scores
    of the same range.
    """
    hidden = _standardised(outputs, layers)
    for weight, bias in layers[:-1]:
        hidden = F.leaky_relu(F.linear(hidden, weight, bias), _SLOPE)
    return F.linear(hidden, *layers[-1]).squeeze(1).to(outputs.dtype)


def _standardised(outputs: Tensor, layers: Layers) -> Tensor:
    """Each sample at mean 0 and variance 1, in the layers' precision."""
    return F.layer_norm(outputs.to(layers[0][0].dtype), outputs.shape[1:])


class Discriminator(nn.Module):
    """A perceptron of two hidden layers, each layer of spectral norm 1 (Miyato et al. 2018).

    Its score changes at most as much as its standardised input does, so that no gradient of the
    student's explodes, and the score has no sudden step.

    Args:
        length: D, the length of an output.
        width: Units of a hidden layer.
    """

    def __init__(self, length: int, width: int) -> None:
        super().__init__()
        self.linears = nn.ModuleList(
            spectral_norm(nn.Linear(*sizes))
            for sizes in ((length, width), (width, width), (width, 1))
        )

    def normalised(self) -> Layers:
        """The layers with their normalised weights, with gradient.

        In training each call improves the estimates of the spectral norms by one power iteration;
        they are buffers, and kept in the checkpoint.
        """
        linears = [cast(nn.Linear, linear) for linear in self.linears]
        return [(linear.weight, linear.bias) for linear in linears]


class _AdversarialMethod(Method):
    """What both methods share: the game, for one kind of output.

    Teacher and student are seen on the same images, but the discriminator is not told which two
    outputs belong together: it is the distributions that become alike. One backward pass trains
    both sides. ``discriminator`` sees the student's outputs without gradient; ``generator``
    passes through weights without gradient. Both use the same weights. ``penalty`` is no part of
    the papers' game; with its weight 0 the game is theirs.
    """

    kind = "adversarial"
    relative_cost = 1.5
    helper_parts = frozenset({"discriminator", "penalty"})
    hyperparameters = {
        "weight": Hyperparameter(
            0.5, Range(low=0.1, high=1.0, log=True), "weight of deceiving the discriminator"
        ),
        "width": Hyperparameter(
            128.0, None, "units of the discriminator's hidden layers", whole=True, minimum=1.0
        ),
        "penalty": Hyperparameter(
            10.0, None, "weight of the discriminator's squared gradient at the teacher's outputs"
        ),
    }

    def __init__(
        self, student: SignalShapes, teacher: SignalShapes, **hyperparameters: float
    ) -> None:
        super().__init__(student, teacher, **hyperparameters)
        self.discriminator = Discriminator(self.length(teacher), int(self.values["width"]))

    @classmethod
    @abstractmethod
    def length(cls, shapes: SignalShapes) -> int:
        """D, the length of the outputs that are compared."""

    @abstractmethod
    def outputs(self, student: Signals, teacher: Signals) -> tuple[Tensor, Tensor]:
        """Student's and teacher's outputs [B, D]."""

    def forward(
        self, student: Signals, teacher: Signals, targets: Targets, progress: float
    ) -> dict[str, Tensor]:
        """``{"generator": scalar, "discriminator": scalar, "penalty": scalar}``, weighted."""
        o_s, o_t = self.outputs(student, teacher)
        layers = self.discriminator.normalised()
        fixed = [(weight.detach(), bias.detach()) for weight, bias in layers]
        # One pass over both outputs costs less than two.
        of_teacher, of_student = score(torch.cat([o_t, o_s.detach()]), layers).chunk(2)
        return {
            "generator": generator_loss(score(o_s, fixed)),
            "discriminator": discriminator_loss(of_teacher, of_student),
            "penalty": self.values["penalty"] * gradient_penalty(o_t, layers),
        }


class Adversarial(_AdversarialMethod):
    """The student's logits are to be taken for the teacher's; three parts.

    ``generator`` trains the student, ``discriminator`` and ``penalty`` the discriminator alone.

    Attributes:
        discriminator: Tells standardised logits of the two networks apart; no part of the student.
    """

    name = "adversarial"
    paper = (
        "Xu, Hsu & Huang 2018, Training Shallow and Thin Networks for Acceleration via Knowledge "
        "Distillation with Conditional Adversarial Networks"
    )
    signals = frozenset({Signal.LOGITS})

    @classmethod
    def unfit(cls, student: SignalShapes, teacher: SignalShapes) -> str | None:
        """Beside the general reasons: two standardised logits are (1, −1) or (−1, 1)."""
        reason = super().unfit(student, teacher)
        if reason is None and student.classes < 3:
            return "it compares standardised logits, and needs at least 3 classes"
        return reason

    @classmethod
    def length(cls, shapes: SignalShapes) -> int:
        """The number of classes."""
        return shapes.classes

    def outputs(self, student: Signals, teacher: Signals) -> tuple[Tensor, Tensor]:
        """The logits [B, K]."""
        return inputs.logits(student, teacher)


class AdversarialEmbedding(_AdversarialMethod):
    """The student's projected embedding is to be taken for the teacher's embedding; three parts.

    ``generator`` trains the student and its projector, ``discriminator`` and ``penalty`` the
    discriminator alone.

    Attributes:
        projector: The student's learnable linear layer to the teacher's length; no part of the
            student.
        discriminator: Tells standardised embeddings apart; no part of the student.
    """

    name = "adversarial_embedding"
    paper = "Wang, Xu, Xu & Tao 2018, Adversarial Learning of Portable Student Networks"
    signals = frozenset({Signal.EMBEDDING})

    def __init__(
        self, student: SignalShapes, teacher: SignalShapes, **hyperparameters: float
    ) -> None:
        super().__init__(student, teacher, **hyperparameters)
        self.projector = nn.Linear(student.embedding, teacher.embedding)

    @classmethod
    def unfit(cls, student: SignalShapes, teacher: SignalShapes) -> str | None:
        """Beside the general reasons: two standardised values are (1, −1) or (−1, 1)."""
        reason = super().unfit(student, teacher)
        if reason is None and teacher.embedding < 3:
            return "it compares standardised embeddings, and the teacher's is shorter than 3"
        return reason

    @classmethod
    def length(cls, shapes: SignalShapes) -> int:
        """The length of the embedding."""
        return shapes.embedding

    def outputs(self, student: Signals, teacher: Signals) -> tuple[Tensor, Tensor]:
        """The student's projected embedding and the teacher's [B, D_t]."""
        e_s, e_t = inputs.embeddings(student, teacher)
        return inputs.through(self.projector, e_s), e_t
