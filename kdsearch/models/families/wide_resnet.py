"""Wide ResNet (Zagoruyko & Komodakis 2016, "Wide Residual Networks", table 1)."""

from __future__ import annotations

import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from kdsearch.models.families.staged import (
    SMALLEST_SIDE,
    StagedNetwork,
    conv,
    through,
    usable_strides,
)
from kdsearch.models.family import Family, of_one_image, scaled
from kdsearch.models.network import ImageShape, Trace
from kdsearch.spec.concrete import ModelConfig

_DEFAULT_DEPTH = 16
_STEM = 16


class PreActivationBlock(nn.Module):
    """Normalise, rectify, convolve, twice; a 1×1 shortcut where the channel count changes.

    Args:
        inputs: Channels of the incoming map.
        outputs: Channels of the outgoing map.
        stride: Stride of the first convolution and of the projection.
    """

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv1 = conv(inputs, outputs, 3, stride)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.conv2 = conv(outputs, outputs, 3)
        same = stride == 1 and inputs == outputs
        self.shortcut = None if same else conv(inputs, outputs, 1, stride)

    def forward(self, maps: Tensor) -> Tensor:
        """Maps [B, C', H', W'] from maps [B, C, H, W]."""
        return self.from_normalised(maps, self.bn1(maps))

    def from_normalised(self, maps: Tensor, normalised: Tensor) -> Tensor:
        """The same, given also what the first normalisation makes of the maps."""
        active = F.relu(normalised)
        residual = self.conv2(F.relu(self.bn2(self.conv1(active))))
        return residual + (maps if self.shortcut is None else self.shortcut(active))


class WideResNet(StagedNetwork):
    """Stages of pre-activation blocks.

    The first two stage maps are sums, which no ReLU closes; before their activation they are what
    the next block's first normalisation makes of them. The last one is normalised and rectified.
    """

    def trace(self, images: Tensor) -> Trace:
        """Everything that a forward pass of images [B, C, H, W] shows."""
        features, preactivation = [], []
        maps = before = images
        for stage in self.stages:
            layers = list(stage.children())
            first = layers[0]
            if isinstance(first, PreActivationBlock):
                preactivation.append(first.bn1(maps))
                maps = first.from_normalised(maps, preactivation[-1])
                del layers[0]
            maps, before = through(layers, maps)
            features.append(maps)
        preactivation.append(before)
        embedding = maps.mean(dim=(2, 3))
        return Trace(self.classifier(embedding), embedding, tuple(features), tuple(preactivation))


def build(config: ModelConfig, image_shape: ImageShape, classes: int) -> WideResNet:
    """A Wide ResNet of 6n + 4 layers; depth 40 and width 2 make wrn-40-2."""
    blocks = ((config.depth or _DEFAULT_DEPTH) - 4) // 6
    (stem,) = scaled(config, (_STEM,), least=1, most=1)
    inputs = stem
    stages = []
    for index, outputs in enumerate(scaled(config, (16, 32, 64))):
        layers: list[nn.Module] = [conv(image_shape[0], stem, 3)] if index == 0 else []
        stride = usable_strides(image_shape, (1, 2, 2))[index]
        layers.append(PreActivationBlock(inputs, outputs, stride))
        layers += [PreActivationBlock(outputs, outputs, 1) for _ in range(blocks - 1)]
        stages.append(layers)
        inputs = outputs
    stages[-1] += [nn.BatchNorm2d(inputs), nn.ReLU()]
    return WideResNet(image_shape, classes, stages, inputs)


FAMILY = Family(
    name="wide_resnet",
    about="Wide ResNet (Zagoruyko & Komodakis 2016): pre-activation blocks; width is their k",
    width="channels of the stages (16, 32, 64 at width 1); the stem keeps 16 channels",
    depth="layers, 6n + 4 from 10 to 100",
    default_depth=_DEFAULT_DEPTH,
    depths=range(10, 101, 6),
    smallest_side=SMALLEST_SIDE,
    build=of_one_image(build),
)
