"""Factor transfer: the student learns the teacher's last map in a paraphrase."""

from __future__ import annotations

from itertools import pairwise

import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from kdsearch.errors import MethodError
from kdsearch.methods import inputs
from kdsearch.methods.base import Method
from kdsearch.methods.hyperparameter import Hyperparameter, share
from kdsearch.methods.sp import unit_rows
from kdsearch.methods.stages import pool_to_common
from kdsearch.methods.targets import Targets
from kdsearch.models.dry_run import evaluating
from kdsearch.models.signals import Signal, Signals, SignalShapes
from kdsearch.spec.ranges import Range

SLOPE = 0.1
"""What the leaky activations of the helpers multiply negative values by."""


def factor_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """mean |F_s/‖F_s‖₂ − F_t/‖F_t‖₂| over all values.

    The factor transfer loss of Kim et al. 2018 with p = 1. The norm is that of a sample's whole
    factor. A factor that is zero stays zero, without a gradient.

    Args:
        student: Factor F_s [B, M, H, W].
        teacher: Factor F_t [B, M, H, W].
    """
    return F.l1_loss(unit_rows(student.flatten(1)), unit_rows(teacher.flatten(1)))


def reconstruction_loss(decoded: Tensor, values: Tensor) -> Tensor:
    """‖x − P(x)‖² of Kim et al. 2018, as a mean over all values.

    Args:
        decoded: P(x) [B, C, H, W].
        values: Map x [B, C, H, W].
    """
    return F.mse_loss(decoded, values)


def convolutions(*channels: int) -> nn.Sequential:
    """3×3 convolutions from each number of channels to the next, normalised and leaky."""
    layers: list[nn.Module] = []
    for before, after in pairwise(channels):
        # The normalisation takes the mean away, so a bias before it would learn nothing.
        layers.append(nn.Conv2d(before, after, kernel_size=3, padding=1, bias=False))
        layers += [nn.BatchNorm2d(after), nn.LeakyReLU(SLOPE)]
    return nn.Sequential(*layers)


class Paraphraser(nn.Module):
    """A convolutional autoencoder of the teacher's map.

    At stride 1 a transposed convolution is a convolution with its kernel turned around, so the
    decoder has plain ones.

    Args:
        channels: C of the map.
        factors: M, the channels of the factor.

    Attributes:
        encoder: Three convolutions from C to M channels.
        decoder: Three convolutions back.
    """

    def __init__(self, channels: int, factors: int) -> None:
        super().__init__()
        self.encoder = convolutions(channels, channels, factors, factors)
        self.decoder = convolutions(factors, factors, channels, channels)

    def forward(self, values: Tensor) -> Tensor:
        """The map [B, C, H, W] after encoder and decoder."""
        return self.decoder(self.encoder(values))


class FactorTransfer(Method):
    """A translation of the student's last map meets a paraphrase of the teacher's; part ``ft``.

    During the first ``initialisation`` of the training the paraphraser learns to reconstruct the
    teacher's map, part ``reconstruction``, and the student learns from the cross-entropy and the
    other terms of a sum alone; ``ft`` is 0. Afterwards the paraphraser is frozen, its batch
    statistics included, and ``ft`` joins the cross-entropy and the other terms. The paper trains
    the paraphraser before the student. Here that time counts as part of the training, so that
    all methods have one budget.

    Factors of different height or width are average-pooled to the smaller one.

    The weight is the authors', for this loss; the 200 of some public scripts belongs to another
    form, whose gradient is 48 times as large.

    Attributes:
        paraphraser: :class:`Paraphraser` of the teacher's map, with ``rate`` times its channels
            in the factor.
        translator: Three convolutions of the student's map to the factor's channels; no part of
            the student.

    Raises:
        MethodError: ``initialisation`` leaves no time for the paraphraser or for the term.
    """

    name = "ft"
    kind = "feature"
    paper = (
        "Kim, Park & Kwak 2018, Paraphrasing Complex Network: Network Compression via Factor "
        "Transfer"
    )
    relative_cost = 3.8
    signals = frozenset({Signal.FEATURES})
    helper_parts = frozenset({"reconstruction"})
    hyperparameters = {
        "weight": Hyperparameter(
            500.0, Range(low=25.0, high=2500.0, log=True), "weight of the factors' difference"
        ),
        "rate": Hyperparameter(
            0.5,
            Range(low=0.25, high=1.0, log=True),
            "channels of the factor per channel of the teacher",
            minimum=0.01,
        ),
        "initialisation": share(
            "share of the training in which the paraphraser is trained", 30 / 240
        ),
    }

    def __init__(
        self, student: SignalShapes, teacher: SignalShapes, **hyperparameters: float
    ) -> None:
        super().__init__(student, teacher, **hyperparameters)
        if not 0 < self.values["initialisation"] < 1:
            raise MethodError(
                f"ft's initialisation is {self.values['initialisation']:g}, but the paraphraser "
                "has to be trained before the term counts; set it above 0 and below 1"
            )
        inner, outer = student.maps[-1][0], teacher.maps[-1][0]
        factors = max(1, round(self.values["rate"] * outer))
        self.paraphraser = Paraphraser(outer, factors)
        self.translator = convolutions(inner, inner, factors, factors)

    def forward(
        self, student: Signals, teacher: Signals, targets: Targets, progress: float
    ) -> dict[str, Tensor]:
        """``{"ft": 0, "reconstruction": scalar}`` at first, then ``{"ft": scalar}``."""
        f_s, f_t = inputs.maps(student.features[-1], teacher.features[-1])
        if progress < self.values["initialisation"]:
            decoded = inputs.normalised(self.name, self.paraphraser, f_t)
            reconstruction = reconstruction_loss(decoded, f_t)
            return {"ft": inputs.zero_of(f_s), "reconstruction": reconstruction}
        # No graph reaches the frozen weights, so that no decay or momentum moves them either.
        with evaluating(self.paraphraser):
            factor = inputs.through(self.paraphraser.encoder, f_t)
        translated = inputs.normalised(self.name, self.translator, f_s)
        return {"ft": factor_loss(*pool_to_common(translated, factor))}
