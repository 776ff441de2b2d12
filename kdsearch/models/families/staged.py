"""A network as a chain of stages, and the layers that the convolutional families share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from torch import Tensor, nn

from kdsearch.models.inputs import of_images
from kdsearch.models.network import ImageShape, Network, Trace

SMALLEST_SIDE = 4
"""Shortest side, in pixels, on which a convolutional family can shrink its maps at least once."""


class ClosedBlock(nn.Module):
    """A block that ends in an activation and tells its map before it."""

    def both(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        """Maps [B, C', H', W'] from maps [B, C, H, W], after and before the closing activation."""
        raise NotImplementedError

    def forward(self, maps: Tensor) -> Tensor:
        """Maps [B, C', H', W'] from maps [B, C, H, W]."""
        return self.both(maps)[0]


class Stage(nn.Sequential):
    """Layers in a row that return their output after and before the closing activation."""

    def forward(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        """The stage map [B, C', H', W'], and the same before its activation."""
        return through(self, maps)


def through(layers: Iterable[nn.Module], maps: Tensor) -> tuple[Tensor, Tensor]:
    """Maps [B, C', H', W'] behind layers in a row, after and before the closing activation.

    The closing activation is a last layer that is one, or that of a last :class:`ClosedBlock`;
    without one, both are the same.
    """
    *inner, last = (*layers,) or (nn.Identity(),)
    for layer in inner:
        maps = layer(maps)
    if isinstance(last, ClosedBlock):
        return last.both(maps)
    after = last(maps)
    return after, maps if isinstance(last, nn.ReLU | nn.ReLU6) else after


class StagedNetwork(Network):
    """Stages in a row, perhaps a head, global average pooling, and a linear classifier.

    Each stage's output is one stage map; the embedding is the last stage map, or what the head
    makes of it, averaged over its pixels. Convolutions start from He's normal initialisation by
    fan-out (He et al. 2015).

    Args:
        image_shape: (channels, height, width) of the images.
        classes: Number of classes.
        stages: The layers of each stage, from map to map, the stem being part of the first.
        embedding: Channels of the head, or of the last stage where there is no head.
        head: Layers between the last stage and the pooling.
    """

    channels_last = True

    def __init__(
        self,
        image_shape: ImageShape,
        classes: int,
        stages: Sequence[Iterable[nn.Module]],
        embedding: int,
        head: Iterable[nn.Module] = (),
    ) -> None:
        super().__init__(of_images(image_shape), classes)
        self.stages = nn.ModuleList(Stage(*layers) for layers in stages)
        self.head_layers = nn.Sequential(*head)
        self.pools_last_map = len(self.head_layers) == 0
        self.classifier = nn.Linear(embedding, classes)
        initialise_convolutions(self)

    def drop_head(self) -> None:
        """Take out the layers between the last stage and the pooling; where there are any, the
        classifier is a new one of the last stage's channels."""
        for layer in self.head_layers:
            if isinstance(layer, nn.Conv2d):
                self.classifier = nn.Linear(layer.in_channels, self.classes)
                break
        self.head_layers = nn.Sequential()
        self.pools_last_map = True

    def trace(self, images: Tensor) -> Trace:
        """Everything that a forward pass of images [B, C, H, W] shows."""
        features, preactivation = [], []
        maps = images
        for stage in self.stages:
            maps, before = stage(maps)
            features.append(maps)
            preactivation.append(before)
        embedding = self.head_layers(maps).mean(dim=(2, 3))
        return Trace(self.classifier(embedding), embedding, tuple(features), tuple(preactivation))


def initialise_convolutions(module: nn.Module) -> None:
    """He's normal initialisation by fan-out for every convolution in ``module``, biases zero.

    Weights without memory (meta tensors) hold no values and are passed over.
    """
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d) and not layer.weight.is_meta:
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def usable_strides(image_shape: ImageShape, wanted: Sequence[int]) -> tuple[int, ...]:
    """The wanted strides, 1 or 2, with each that would shrink a map below 2×2 turned into 1.

    Strided layers here pad so that a side of n pixels becomes ⌈n/2⌉.
    """
    side = min(image_shape[1:])
    strides = []
    for stride in wanted:
        usable = stride if side > 2 else 1
        side = -(-side // usable)
        strides.append(usable)
    return tuple(strides)


def conv(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    """A convolution without bias that keeps the map's size but for its stride."""
    return nn.Conv2d(
        inputs, outputs, kernel, stride=stride, padding=kernel // 2, groups=groups, bias=False
    )


def conv_bn_relu(
    inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1
) -> nn.Sequential:
    """Convolution, batch normalisation, ReLU."""
    return nn.Sequential(
        conv(inputs, outputs, kernel, stride, groups), nn.BatchNorm2d(outputs), nn.ReLU()
    )
