"""VGG with batch normalisation and a small head (Simonyan & Zisserman 2015, table 1)."""

from __future__ import annotations

from torch import nn

from kdsearch.models.families.staged import (
    SMALLEST_SIDE,
    StagedNetwork,
    conv_bn_relu,
    usable_strides,
)
from kdsearch.models.family import Family, of_one_image, scaled
from kdsearch.models.network import ImageShape
from kdsearch.spec.concrete import ModelConfig

_CONVOLUTIONS = {
    8: (1, 1, 1, 1, 1),
    11: (1, 1, 2, 2, 2),
    13: (2, 2, 2, 2, 2),
    16: (2, 2, 3, 3, 3),
    19: (2, 2, 4, 4, 4),
}
"""Convolutions of the five blocks, by depth."""
_DEFAULT_DEPTH = 8


def build(config: ModelConfig, image_shape: ImageShape, classes: int) -> StagedNetwork:
    """A VGG whose maps are pooled before the second, third and fourth block.

    The stages are the blocks from the second to the fifth, as in Tian et al. 2020; the first is
    the stem. The fourth and fifth work at one resolution on small images.
    """
    counts = _CONVOLUTIONS[config.depth or _DEFAULT_DEPTH]
    strides = usable_strides(image_shape, (1, 2, 2, 2))
    stages: list[list[nn.Module]] = [[] for _ in strides]
    inputs = image_shape[0]
    for block, outputs in enumerate(scaled(config, (64, 128, 256, 512, 512))):
        layers = stages[max(block - 1, 0)]
        if block < 4 and strides[block] == 2:
            layers.append(nn.MaxPool2d(2, ceil_mode=True))
        convolutions: list[nn.Module] = []
        for _ in range(counts[block]):
            convolutions += conv_bn_relu(inputs, outputs, 3)
            inputs = outputs
        layers += convolutions if block else [nn.Sequential(*convolutions)]
    return StagedNetwork(image_shape, classes, stages, inputs)


FAMILY = Family(
    name="vgg",
    about="VGG with batch normalisation and global pooling (Simonyan & Zisserman 2015)",
    width="channels of the blocks (64, 128, 256, 512, 512 at width 1)",
    depth="layers of the original with its three linear ones: 8, 11, 13, 16 or 19",
    default_depth=_DEFAULT_DEPTH,
    depths=tuple(_CONVOLUTIONS),
    smallest_side=SMALLEST_SIDE,
    build=of_one_image(build),
)
