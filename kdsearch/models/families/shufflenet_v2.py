"""ShuffleNetV2 for small images (Ma et al. 2018, "Practical Guidelines for Efficient CNN
Architecture Design", table 5)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from kdsearch.models.families.staged import (
    SMALLEST_SIDE,
    ClosedBlock,
    StagedNetwork,
    conv,
    conv_bn_relu,
    through,
    usable_strides,
)
from kdsearch.models.family import Family, of_one_image, scaled
from kdsearch.models.network import ImageShape
from kdsearch.spec.concrete import ModelConfig

_STEM = 24
_BRANCHES = (58, 116, 232)
_BLOCKS = (4, 8, 4)
_HEAD = 1024


def shuffle(left: Tensor, right: Tensor) -> Tensor:
    """Channels of two maps [B, C, H, W] in turn: [B, 2C, H, W] (Zhang et al. 2018)."""
    return torch.stack((left, right), dim=2).flatten(1, 2)


def _branch(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        *conv_bn_relu(inputs, outputs, 1),
        conv(outputs, outputs, 3, stride, groups=outputs),
        nn.BatchNorm2d(outputs),
        *conv_bn_relu(outputs, outputs, 1),
    )


class BasicUnit(ClosedBlock):
    """One half of the channels passes, the other is filtered (figure 3c).

    Args:
        branch: Channels of one half.
    """

    def __init__(self, branch: int) -> None:
        super().__init__()
        self.branch = _branch(branch, branch, 1)

    def both(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        """Maps [B, C, H, W] from maps [B, C, H, W], after and before the filtered half's ReLU."""
        kept, filtered = maps.chunk(2, dim=1)
        after, before = through(self.branch, filtered)
        return shuffle(kept, after), shuffle(kept, before)


class DownUnit(nn.Module):
    """Both branches see all channels, so that their number can change (figure 3d).

    Args:
        inputs: Channels of the incoming map.
        branch: Channels of one branch; the outgoing map has twice as many.
        stride: Stride of both depthwise convolutions.
    """

    def __init__(self, inputs: int, branch: int, stride: int) -> None:
        super().__init__()
        self.left = nn.Sequential(
            conv(inputs, inputs, 3, stride, groups=inputs),
            nn.BatchNorm2d(inputs),
            *conv_bn_relu(inputs, branch, 1),
        )
        self.right = _branch(inputs, branch, stride)

    def forward(self, maps: Tensor) -> Tensor:
        """Maps [B, C', H', W'] from maps [B, C, H, W]."""
        return shuffle(self.left(maps), self.right(maps))


def build(config: ModelConfig, image_shape: ImageShape, classes: int) -> StagedNetwork:
    """A ShuffleNetV2 with a 1×1 stem that shrinks images by 8; width 1 is the published student.

    Other widths multiply the counts of width 1, which is not quite the paper's table. As in the
    paper, a width below 1 leaves the head at 1024 channels.
    """
    inputs, *branches = scaled(config, (_STEM, *_BRANCHES))
    (head,) = scaled(config, (_HEAD,), least=1)
    strides = usable_strides(image_shape, (2, 2, 2))
    stages: list[list[nn.Module]] = [[] for _ in strides]
    stages[0] += conv_bn_relu(image_shape[0], inputs, 1)
    for stage, stride, branch, blocks in zip(stages, strides, branches, _BLOCKS, strict=True):
        stage.append(DownUnit(inputs, branch, stride))
        stage += [BasicUnit(branch) for _ in range(blocks - 1)]
        inputs = 2 * branch
    last = conv_bn_relu(inputs, head, 1)
    return StagedNetwork(image_shape, classes, stages, head, last)


FAMILY = Family(
    name="shufflenet_v2",
    about="ShuffleNetV2 for small images (Ma et al. 2018): channel split and shuffle",
    width="channels of every layer; the head keeps 1024 channels below width 1",
    depth="no depth to choose",
    default_depth=None,
    depths=(),
    smallest_side=SMALLEST_SIDE,
    build=of_one_image(build),
)
