"""A multi-layer perceptron on the pixels."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from kdsearch.models.family import Family, scaled
from kdsearch.models.network import ImageShape, Network, Trace
from kdsearch.spec.concrete import ModelConfig

_DEFAULT_DEPTH = 2
_BASE = 128


class Perceptron(Network):
    """Linear layers with ReLU between them.

    A hidden layer is a stage, its map [B, D, 1, 1]; the last one is the embedding [B, D].

    Args:
        image_shape: (channels, height, width) of the images.
        classes: Number of classes.
        hidden: Units of the hidden layers.
    """

    pools_last_map = True

    def __init__(self, image_shape: ImageShape, classes: int, hidden: Sequence[int]) -> None:
        super().__init__(image_shape, classes)
        channels, height, width = image_shape
        sizes = (channels * height * width, *hidden)
        stages = [nn.Linear(inputs, outputs) for inputs, outputs in pairwise(sizes)]
        for layer in stages:
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)
        self.stages = nn.ModuleList(stages)
        self.classifier = nn.Linear(sizes[-1], classes)

    def trace(self, images: Tensor) -> Trace:
        """Everything that a forward pass of images [B, C, H, W] shows."""
        features, preactivation = [], []
        units = images.flatten(1)
        for stage in self.stages:
            before = stage(units)
            units = F.relu(before)
            features.append(units[:, :, None, None])
            preactivation.append(before[:, :, None, None])
        return Trace(self.classifier(units), units, tuple(features), tuple(preactivation))


def build(config: ModelConfig, image_shape: ImageShape, classes: int) -> Perceptron:
    """A perceptron with ``depth`` hidden layers of 128 × width units."""
    hidden = scaled(config, [_BASE] * (config.depth or _DEFAULT_DEPTH))
    return Perceptron(image_shape, classes, hidden)


FAMILY = Family(
    name="mlp",
    about="Multi-layer perceptron on the pixels, for images of any size",
    width="units of the hidden layers (128 at width 1)",
    depth="hidden layers, 1 to 8",
    default_depth=_DEFAULT_DEPTH,
    depths=range(1, 9),
    smallest_side=1,
    build=build,
)
