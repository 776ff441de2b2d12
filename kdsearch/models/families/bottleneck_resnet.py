"""ResNet of bottlenecks with a stem for small images (He et al. 2016, "Deep Residual Learning",
table 1), as the tables on CIFAR-100 have it (Tian et al. 2020)."""

from __future__ import annotations

import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from kdsearch.models.families.resnet import projection
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

_EXPANSION = 4
_DEFAULT_DEPTH = 50
_BLOCKS = {26: (2, 2, 2, 2), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
"""Blocks of the four stages, by depth."""


class Bottleneck(ClosedBlock):
    """A 1×1, a 3×3 and a widening 1×1 convolution beside a shortcut.

    Args:
        inputs: Channels of the incoming map.
        inner: Channels of the 3×3 convolution; the outgoing map has four times as many.
        stride: Stride of the 3×3 convolution and of the shortcut's projection.
    """

    def __init__(self, inputs: int, inner: int, stride: int) -> None:
        super().__init__()
        outputs = _EXPANSION * inner
        self.conv1 = conv(inputs, inner, 1)
        self.bn1 = nn.BatchNorm2d(inner)
        self.conv2 = conv(inner, inner, 3, stride)
        self.bn2 = nn.BatchNorm2d(inner)
        self.conv3 = conv(inner, outputs, 1)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.shortcut = projection(inputs, outputs, stride)
        self.activation = nn.ReLU()

    def both(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        """Maps [B, C', H', W'] from maps [B, C, H, W], after and before the closing activation."""
        residual = F.relu(self.bn1(self.conv1(maps)))
        residual = F.relu(self.bn2(self.conv2(residual)))
        before = self.bn3(self.conv3(residual)) + self.shortcut(maps)
        return self.activation(before), before


def build(config: ModelConfig, image_shape: ImageShape, classes: int) -> StagedNetwork:
    """A ResNet of four stages whose stem is one 3×3 convolution without stride or pooling."""
    counts = _BLOCKS[config.depth or _DEFAULT_DEPTH]
    channels = scaled(config, (64, 128, 256, 512))
    inputs = channels[0]
    strides = usable_strides(image_shape, (1, 2, 2, 2))
    stages: list[list[nn.Module]] = [[] for _ in strides]
    stages[0] += conv_bn_relu(image_shape[0], inputs, 3)
    for stage, inner, blocks, stride in zip(stages, channels, counts, strides, strict=True):
        for block in range(blocks):
            stage.append(Bottleneck(inputs, inner, 1 if block else stride))
            inputs = _EXPANSION * inner
    return StagedNetwork(image_shape, classes, stages, inputs)


FAMILY = Family(
    name="bottleneck_resnet",
    about="ResNet-50 and its kin for small images (He et al. 2016): four stages of bottlenecks",
    width="channels of the stages (256, 512, 1024, 2048 at width 1) and of the stem",
    depth="layers: 26, 50, 101 or 152",
    default_depth=_DEFAULT_DEPTH,
    depths=tuple(_BLOCKS),
    smallest_side=SMALLEST_SIDE,
    build=of_one_image(build),
)
