"""ResNet in its CIFAR form (He et al. 2016, "Deep Residual Learning", section 4.2)."""

from __future__ import annotations

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

_DEFAULT_DEPTH = 20
_STEM = 16
_WIDEST_STEM = 32


class BasicBlock(ClosedBlock):
    """Two 3×3 convolutions beside a shortcut; the shortcut is projected where shapes differ.

    Args:
        inputs: Channels of the incoming map.
        outputs: Channels of the outgoing map.
        stride: Stride of the first convolution and of the projection.
    """

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = conv(inputs, outputs, 3, stride)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = conv(outputs, outputs, 3)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.shortcut = projection(inputs, outputs, stride)
        self.activation = nn.ReLU()

    def both(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        """Maps [B, C', H', W'] from maps [B, C, H, W], after and before the closing activation."""
        residual = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(maps)))))
        before = residual + self.shortcut(maps)
        return self.activation(before), before


def projection(inputs: int, outputs: int, stride: int) -> nn.Module:
    """A shortcut: the map itself, or a normalised 1×1 convolution where shapes differ."""
    if stride == 1 and inputs == outputs:
        return nn.Identity()
    return nn.Sequential(conv(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs))


def build(config: ModelConfig, image_shape: ImageShape, classes: int) -> StagedNetwork:
    """A ResNet of 6n + 2 layers; depth 32 and width 4 make resnet32x4.

    The stem follows the width up to 32 channels and stays there: the published "x4" networks have
    a stem of 32 before stages of 64, 128 and 256 channels (Tian et al. 2020).
    """
    blocks = ((config.depth or _DEFAULT_DEPTH) - 2) // 6
    channels = scaled(config, (_STEM, 32, 64))
    (inputs,) = scaled(config, (_STEM,), most=_WIDEST_STEM / _STEM)
    strides = usable_strides(image_shape, (1, 2, 2))
    stages: list[list[nn.Module]] = [[] for _ in strides]
    stages[0] += conv_bn_relu(image_shape[0], inputs, 3)
    for stage, stride, outputs in zip(stages, strides, channels, strict=True):
        stage.append(BasicBlock(inputs, outputs, stride))
        stage += [BasicBlock(outputs, outputs, 1) for _ in range(blocks - 1)]
        inputs = outputs
    return StagedNetwork(image_shape, classes, stages, inputs)


FAMILY = Family(
    name="resnet",
    about="ResNet, CIFAR form (He et al. 2016): three stages of basic blocks",
    width="channels of the stages (16, 32, 64 at width 1); the stem follows up to 32 channels",
    depth="layers, 6n + 2 from 8 to 110",
    default_depth=_DEFAULT_DEPTH,
    depths=range(8, 111, 6),
    smallest_side=SMALLEST_SIDE,
    build=of_one_image(build),
)
