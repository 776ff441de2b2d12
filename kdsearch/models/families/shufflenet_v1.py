"""ShuffleNet for small images (Zhang et al. 2018, "ShuffleNet: An Extremely Efficient
Convolutional Neural Network for Mobile Devices", table 1), in the form of Tian et al. 2020."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from kdsearch.models.families.staged import (
    SMALLEST_SIDE,
    ClosedBlock,
    StagedNetwork,
    conv,
    conv_bn_relu,
    usable_strides,
)
from kdsearch.models.family import Family, of_one_image, scaled
from kdsearch.models.network import ImageShape
from kdsearch.spec.concrete import ModelConfig

_GROUPS = 3
_REDUCTION = 4
_STEM = 24
_CHANNELS = (240, 480, 960)
_BLOCKS = (4, 8, 4)
_STEP = _GROUPS * _REDUCTION
"""Channel counts are multiples of it, so that the inner ones fall into groups."""


def shuffle(maps: Tensor, groups: int) -> Tensor:
    """Channels of maps [B, C, H, W], one of each group in turn."""
    return maps.unflatten(1, (groups, -1)).transpose(1, 2).flatten(1, 2)


class Unit(ClosedBlock):
    """Grouped 1×1 convolutions around a depthwise 3×3 (figures 2b and 2c).

    Args:
        inputs: Channels of the incoming map.
        outputs: Channels of the outgoing map; where there are more, the shortcut's are part of
            them, and otherwise it is added.
        stride: Stride of the depthwise convolution and of the shortcut's pooling.
        groups: Groups of the first 1×1 convolution.
    """

    def __init__(self, inputs: int, outputs: int, stride: int, groups: int) -> None:
        super().__init__()
        self.joins = outputs > inputs
        own = outputs - inputs if self.joins else outputs
        inner = own // _REDUCTION
        self.groups = groups
        self.conv1 = conv(inputs, inner, 1, groups=groups)
        self.bn1 = nn.BatchNorm2d(inner)
        self.conv2 = conv(inner, inner, 3, stride, groups=inner)
        self.bn2 = nn.BatchNorm2d(inner)
        self.conv3 = conv(inner, own, 1, groups=_GROUPS)
        self.bn3 = nn.BatchNorm2d(own)
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1:
            self.shortcut = nn.AvgPool2d(3, stride, padding=1)
        self.activation = nn.ReLU()

    def both(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        """Maps [B, C', H', W'] from maps [B, C, H, W], after and before the closing activation."""
        inner = shuffle(F.relu(self.bn1(self.conv1(maps))), self.groups)
        own = self.bn3(self.conv3(F.relu(self.bn2(self.conv2(inner)))))
        kept = self.shortcut(maps)
        before = torch.cat((own, kept), dim=1) if self.joins else own + kept
        return self.activation(before), before


def build(config: ModelConfig, image_shape: ImageShape, classes: int) -> StagedNetwork:
    """A ShuffleNet of 3 groups with a 1×1 stem that shrinks images by 8; width 1 is the published
    student. Channels are multiples of 12."""
    step = math.lcm(_STEP, _REDUCTION * (config.round_to or 1))  # inner channels are a fourth
    inputs, *channels = scaled(config, (_STEM, *_CHANNELS), step)
    strides = usable_strides(image_shape, (2, 2, 2))
    stages: list[list[nn.Module]] = [[] for _ in strides]
    stages[0] += conv_bn_relu(image_shape[0], inputs, 1)
    # As in the paper, the first unit's few channels are not divided.
    groups = 1
    for stage, stride, outputs, blocks in zip(stages, strides, channels, _BLOCKS, strict=True):
        for block in range(blocks):
            stage.append(Unit(inputs, outputs, 1 if block else stride, groups))
            inputs, groups = outputs, _GROUPS
    return StagedNetwork(image_shape, classes, stages, inputs)


FAMILY = Family(
    name="shufflenet_v1",
    about="ShuffleNet of 3 groups for small images (Zhang et al. 2018): grouped 1×1 convolutions",
    width="channels of every layer, in steps of 12",
    depth="no depth to choose",
    default_depth=None,
    depths=(),
    smallest_side=SMALLEST_SIDE,
    build=of_one_image(build),
)
