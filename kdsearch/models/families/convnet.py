"""A plain convolutional network, small enough for the smallest images."""

from __future__ import annotations

from kdsearch.models.families.staged import (
    SMALLEST_SIDE,
    StagedNetwork,
    conv_bn_relu,
    usable_strides,
)
from kdsearch.models.family import Family, of_one_image, scaled
from kdsearch.models.network import ImageShape
from kdsearch.spec.concrete import ModelConfig

_DEFAULT_DEPTH = 3


def build(config: ModelConfig, image_shape: ImageShape, classes: int) -> StagedNetwork:
    """One 3×3 convolution, batch normalisation and ReLU a stage; each stage doubles the channels
    and, but for the first, halves the sides."""
    depth = config.depth or _DEFAULT_DEPTH
    channels = (image_shape[0], *scaled(config, [16 * 2**stage for stage in range(depth)]))
    strides = usable_strides(image_shape, (1, *[2] * (depth - 1)))
    stages = [
        conv_bn_relu(channels[stage], channels[stage + 1], 3, strides[stage])
        for stage in range(depth)
    ]
    return StagedNetwork(image_shape, classes, stages, channels[-1])


FAMILY = Family(
    name="convnet",
    about="Plain convolutional network: one convolution a stage",
    width="channels of the stages (16 at width 1 in the first, doubled from stage to stage)",
    depth="stages, 1 to 6",
    default_depth=_DEFAULT_DEPTH,
    depths=range(1, 7),
    smallest_side=SMALLEST_SIDE,
    build=of_one_image(build),
)
