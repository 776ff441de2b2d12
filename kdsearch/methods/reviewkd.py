"""Knowledge review: the student's deeper maps, fused into the shallower, meet the teacher's."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from kdsearch.methods import inputs
from kdsearch.methods.base import Method
from kdsearch.methods.hyperparameter import RAMP, Hyperparameter, share
from kdsearch.methods.stages import match_deepest, pool_to_common
from kdsearch.methods.targets import Targets
from kdsearch.models.pooling import average_pool
from kdsearch.models.signals import Signal, Signals, SignalShapes
from kdsearch.spec.ranges import Range

LEVELS = (4, 2, 1)
"""Heights and widths to which maps are pooled, beside their own."""

WIDEST = 512
"""Most channels in which maps are fused."""


def context_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Hierarchical context loss Σ_l w_l · mean (pool_l(s) − pool_l(t))² / Σ_l w_l.

    Chen et al. 2021, with the weights of the authors' code: 1 for the maps as they
    are, then half the last one for each of the pooled sizes :data:`LEVELS` that is smaller than
    the map. Pooling is linear, so that the difference is pooled.

    Args:
        student: Map s [B, C, H, W].
        teacher: Map t [B, C, H, W].
    """
    difference = student - teacher
    levels = [difference]
    height, width = difference.shape[-2:]
    for side in LEVELS:
        if side < max(height, width):
            levels.append(average_pool(difference, min(side, height), min(side, width)))
    weights = [0.5**i for i in range(len(levels))]
    errors = [w * level.square().mean() for w, level in zip(weights, levels, strict=True)]
    return torch.stack(errors).sum() / sum(weights)


def resized(values: Tensor, height: int, width: int) -> Tensor:
    """Map [..., H, W] at another size, each position that of the nearest one.

    A product with one selecting matrix a side, whose gradient is deterministic on a GPU.
    """
    if values.shape[-2:] == (height, width):
        return values
    rows = _selecting(values, values.shape[-2], height)
    columns = _selecting(values, values.shape[-1], width)
    return rows.T @ values @ columns


def _selecting(like: Tensor, size: int, wanted: int) -> Tensor:
    """[size, wanted]: column b is 1 at the position that place b is filled from."""
    identity = torch.eye(size, dtype=like.dtype, device=like.device)
    return F.interpolate(identity.unsqueeze(0), size=wanted, mode="nearest").squeeze(0)


def _convolution(before: int, after: int, side: int) -> nn.Sequential:
    # The normalisation takes the mean away, so a bias before it would learn nothing.
    layer = nn.Conv2d(before, after, kernel_size=side, padding=side // 2, bias=False)
    nn.init.kaiming_uniform_(layer.weight, a=1)
    return nn.Sequential(layer, nn.BatchNorm2d(after))


class Fusion(nn.Module):
    """Attention-based fusion of one stage with all deeper ones.

    Args:
        student: Channels of the student's map.
        middle: Channels in which maps are fused.
        teacher: Channels of the teacher's map.
        deepest: Whether there is no deeper stage to fuse with.

    Attributes:
        entry: 1×1 convolution of the student's map to ``middle`` channels, normalised.
        gate: 1×1 convolution of both maps to two attention maps; ``None`` for the deepest stage.
        exit: 3×3 convolution to the teacher's channels, normalised.
    """

    def __init__(self, student: int, middle: int, teacher: int, deepest: bool) -> None:
        super().__init__()
        self.entry = _convolution(student, middle, side=1)
        self.gate = None if deepest else nn.Conv2d(2 * middle, 2, kernel_size=1)
        self.exit = _convolution(middle, teacher, side=3)

    def forward(self, values: Tensor, deeper: Tensor | None) -> tuple[Tensor, Tensor]:
        """The map [B, C_t, H, W] to compare, and the fused one [B, middle, H, W] to pass on.

        Args:
            values: The student's map [B, C_s, H, W].
            deeper: The fused map of the next deeper stage [B, middle, H', W'].
        """
        fused = inputs.normalised(ReviewKD.name, self.entry, values)
        if self.gate is not None:
            assert deeper is not None, "the deeper stage was not fused"
            deeper = resized(deeper, *fused.shape[-2:])
            both = torch.cat([fused, deeper], dim=1)
            attention = inputs.through(self.gate, both).sigmoid()
            fused = attention[:, :1] * fused + attention[:, 1:] * deeper
        return inputs.normalised(ReviewKD.name, self.exit, fused), fused


class ReviewKD(Method):
    """The student's stages, each fused with all deeper ones, meet the teacher's; part ``reviewkd``.

    As in the authors' code for CIFAR, the embeddings are one more stage, the deepest, with maps of
    one pixel, and the teacher's maps are those before their activation. The hierarchical context
    loss is summed over the stages, matched from the deepest backwards; a longer network's shallow
    stages are left out. The fused maps have as many channels as the student's embedding has
    values, at most :data:`WIDEST`, and are brought to the size of the next shallower one. Against
    the teacher, maps of different height or width are average-pooled to the smaller one.

    The published ramp takes 20 of 240 epochs; the published weight is 1, 5 for wide ResNets and
    resnet32x4→resnet8x4, 8 for resnet32x4→ShuffleNetV2 and 0.6 for resnet56→resnet20.

    Attributes:
        fusions: One :class:`Fusion` for each matched stage, shallow to deep, and one for the
            embedding; no part of the student.
    """

    name = "reviewkd"
    kind = "feature"
    paper = "Chen, Liu, Zhao & Jia 2021, Distilling Knowledge via Knowledge Review"
    relative_cost = 9.0
    signals = frozenset({Signal.FEATURES, Signal.EMBEDDING})
    teacher_signals = frozenset({Signal.PREACTIVATION, Signal.EMBEDDING})
    hyperparameters = {
        "weight": Hyperparameter(
            1.0, Range(low=0.1, high=20.0, log=True), "weight of the sum over stages"
        ),
        "ramp": share(RAMP, 20 / 240),
    }

    def __init__(
        self, student: SignalShapes, teacher: SignalShapes, **hyperparameters: float
    ) -> None:
        super().__init__(student, teacher, **hyperparameters)
        channels = [(s[0], t[0]) for s, t in match_deepest(student.maps, teacher.maps)]
        channels.append((student.embedding, teacher.embedding))
        middle = min(WIDEST, student.embedding)
        self.fusions = nn.ModuleList(
            Fusion(s, middle, t, deepest=i == len(channels) - 1)
            for i, (s, t) in enumerate(channels)
        )

    def forward(
        self, student: Signals, teacher: Signals, targets: Targets, progress: float
    ) -> dict[str, Tensor]:
        """``{"reviewkd": scalar}``."""
        stages = match_deepest(student.features, teacher.preactivation)
        pairs = [inputs.maps(s, t) for s, t in stages]
        e_s, e_t = inputs.embeddings(student, teacher)
        pairs.append((e_s[:, :, None, None], e_t[:, :, None, None]))
        assert len(pairs) == len(self.fusions), "the stage maps were not observed"
        losses: list[Tensor] = []
        fused: Tensor | None = None
        for fusion, (f_s, f_t) in zip(reversed(self.fusions), reversed(pairs), strict=True):
            reviewed, fused = fusion(f_s, fused)
            losses.append(context_loss(*pool_to_common(reviewed, f_t)))
        return {"reviewkd": torch.stack(losses).sum()}
