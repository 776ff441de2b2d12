"""Overhauled feature distillation: what the teacher lets through, and a margin below zero."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from kdsearch.methods import inputs
from kdsearch.methods.base import Method
from kdsearch.methods.hyperparameter import Hyperparameter
from kdsearch.methods.stages import halving_sum, match_deepest, pool_to_common
from kdsearch.methods.targets import Targets
from kdsearch.models.signals import Signal, Signals, SignalShapes
from kdsearch.spec.ranges import Range


def margin_relu(teacher: Tensor, margin: Tensor) -> Tensor:
    """The margin ReLU max(t, m_c) of Heo et al. 2019.

    Args:
        teacher: Values t [B, C, H, W] before the activation.
        margin: m [C], not positive, one for each channel.
    """
    return torch.maximum(teacher, margin[:, None, None])


def partial_loss(student: Tensor, target: Tensor) -> Tensor:
    """Σ (s − t)² / B without the values where s ≤ t ≤ 0.

    The partial L2 distance of Heo et al. 2019: what the teacher holds at or below zero does not
    pass its activation, so that the student may lie lower. All values of a sample are summed, as
    in the authors' code, for which the published weight holds.

    Args:
        student: Values s [B, C, H, W] before the activation, projected.
        target: The teacher's values t [B, C, H, W] after :func:`margin_relu`.
    """
    free = (student <= target) & (target <= 0)
    errors = F.mse_loss(student, target, reduction="none").masked_fill(free, 0.0)
    return errors.sum() / len(student)


class Margin(nn.Module):
    """Mean of each channel's negative values over all batches seen in training.

    Args:
        channels: C, the teacher's channels.

    Attributes:
        mean: m [C]; 0 for a channel that never was negative, which then has a plain ReLU.
        count: How many values m is the mean of [C].
    """

    mean: Tensor
    count: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("count", torch.zeros(channels, dtype=torch.long))

    def forward(self, teacher: Tensor) -> Tensor:
        """m [C]; in training, of the values [B, C, H, W] too."""
        if self.training:
            self._observe(teacher)
        return self.mean.to(teacher.dtype)

    @torch.no_grad()
    def _observe(self, teacher: Tensor) -> None:
        number = (teacher < 0).sum(dim=(0, 2, 3))
        total = teacher.clamp(max=0).sum(dim=(0, 2, 3))
        self.count += number
        # A running mean, not a running sum, which would outgrow its precision.
        self.mean += ((total - number * self.mean) / self.count.clamp(min=1)).to(self.mean.dtype)


class OFD(Method):
    """The student's values before the activation meet the teacher's above a margin; part ``ofd``.

    Stages are matched from the deepest backwards; a longer network's shallow stages are left out.
    The i-th of n matched stages, counted from 0, has the weight 1 / 2^(n − i − 1), the deepest 1.
    Maps of different height or width are average-pooled to the smaller one, before the margin.

    The weight is that of a sum over all values of a sample, hence small: 1e-3, and 1e-4 for
    ImageNet.

    The margin of a channel, the mean of the teacher's negative values, is taken from the batches
    of the training, the current one included, which the paper offers as one of two ways. With
    several workers those of the first one are handed to all at every step.

    Attributes:
        regressors: For each matched stage, shallow to deep, a learnable 1×1 convolution of the
            student's values to the teacher's channels, and batch normalisation; no part of the
            student.
        margins: One :class:`Margin` for each matched stage, kept in the training checkpoint.
    """

    name = "ofd"
    kind = "feature"
    paper = (
        "Heo, Kim, Yun, Park, Kwak & Choi 2019, A Comprehensive Overhaul of Feature Distillation"
    )
    relative_cost = 3.3
    signals = frozenset({Signal.PREACTIVATION})
    hyperparameters = {
        "weight": Hyperparameter(
            1e-3, Range(low=1e-5, high=1e-2, log=True), "weight of the sum over stages and values"
        ),
    }

    def __init__(
        self, student: SignalShapes, teacher: SignalShapes, **hyperparameters: float
    ) -> None:
        super().__init__(student, teacher, **hyperparameters)
        pairs = match_deepest(student.maps, teacher.maps)
        # The normalisation takes the mean away, so a bias before it would learn nothing.
        self.regressors = nn.ModuleList(
            nn.Sequential(nn.Conv2d(s[0], t[0], kernel_size=1, bias=False), nn.BatchNorm2d(t[0]))
            for s, t in pairs
        )
        self.margins = nn.ModuleList(Margin(t[0]) for _, t in pairs)

    def forward(
        self, student: Signals, teacher: Signals, targets: Targets, progress: float
    ) -> dict[str, Tensor]:
        """``{"ofd": scalar}``."""
        pairs = match_deepest(student.preactivation, teacher.preactivation)
        assert len(pairs) == len(self.margins), "the values before activation were not observed"
        losses = []
        for (s, t), regressor, margin in zip(pairs, self.regressors, self.margins, strict=True):
            f_s, f_t = pool_to_common(*inputs.maps(s, t))
            target = margin_relu(f_t, margin(f_t))
            losses.append(partial_loss(inputs.normalised(self.name, regressor, f_s), target))
        return {"ofd": halving_sum(losses)}
