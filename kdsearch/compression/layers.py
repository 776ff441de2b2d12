"""The layers whose channels can be cut, and the dimensions of their weights."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple, TypeAlias

from torch import nn

Convolution: TypeAlias = nn.Conv1d | nn.Conv2d | nn.Conv3d
CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
NORMALISATIONS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)


class Side(NamedTuple):
    """Where a layer has channels.

    Attributes:
        layer: The layer's name in the network.
        end: ``in`` or ``out``; ``both`` where a channel goes in and comes out as the same one, as
            in batch normalisation and depthwise convolutions.
    """

    layer: str
    end: Literal["in", "out", "both"]


def sides(network: nn.Module) -> dict[Side, int]:
    """Every side of a network's layers, in their order, with its number of channels."""
    return {
        Side(name, end): count
        for name, layer in network.named_modules()
        for end, count in _ends(layer)
    }


def _ends(layer: nn.Module) -> Iterator[tuple[Literal["in", "out", "both"], int]]:
    if isinstance(layer, NORMALISATIONS):
        yield "both", layer.num_features
    elif isinstance(layer, CONVOLUTIONS) and is_depthwise(layer):
        yield "both", layer.out_channels
    elif isinstance(layer, CONVOLUTIONS):
        yield "in", layer.in_channels
        yield "out", layer.out_channels
    elif isinstance(layer, nn.Linear):
        yield "in", layer.in_features
        yield "out", layer.out_features


def is_depthwise(layer: Convolution) -> bool:
    """Whether each channel is filtered alone."""
    return 1 < layer.groups == layer.in_channels == layer.out_channels


def groups_of(layer: nn.Module) -> int:
    """The groups of a grouped convolution; 1 for every other layer, depthwise ones too."""
    grouped = isinstance(layer, CONVOLUTIONS) and not is_depthwise(layer)
    return int(layer.groups) if grouped and isinstance(layer, CONVOLUTIONS) else 1


def each_group(layer: nn.Module) -> tuple[int, int]:
    """Channels that go into one group of a convolution, and that come out of it."""
    assert isinstance(layer, CONVOLUTIONS)
    return layer.in_channels // layer.groups, layer.out_channels // layer.groups
