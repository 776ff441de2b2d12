"""The layers whose weights a way may change."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

from torch import nn

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)

Weighted: TypeAlias = nn.Conv1d | nn.Conv2d | nn.Conv3d | nn.Linear
"""A layer whose ``weight`` is [outputs, inputs, ...]."""


def weighted_layers(network: nn.Module) -> Iterator[tuple[str, Weighted]]:
    """Convolutions and linear layers by name, in the network's order.

    Not a first convolution, which reads the samples themselves and has few weights, nor depthwise
    ones, which have few weights too and lose most (Zhu & Gupta 2018 leave out both). A layer that
    stands in several places comes once.
    """
    first = True
    for name, layer in network.named_modules():
        if isinstance(layer, CONVOLUTIONS):
            if not first and not (1 < layer.groups == layer.in_channels):
                yield name, layer
            first = False
        elif isinstance(layer, nn.Linear):
            first = False
            yield name, layer
