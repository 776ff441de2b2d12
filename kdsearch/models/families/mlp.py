"""A multi-layer perceptron on pixels and numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from kdsearch.models.family import Family, scaled
from kdsearch.models.inputs import Inputs
from kdsearch.models.network import Network, Trace
from kdsearch.spec.concrete import ModelConfig

_DEFAULT_DEPTH = 2
_BASE = 128


class Perceptron(Network):
    """Linear layers with ReLU between them, on all inputs side by side.

    A hidden layer is a stage, its map [B, D, 1, 1]; the last one is the embedding [B, D].

    Args:
        inputs: Of any kind and number; each is flattened.
        outputs: Columns of the output.
        hidden: Units of the hidden layers.
    """

    pools_last_map = True

    def __init__(self, inputs: Inputs, outputs: int, hidden: Sequence[int]) -> None:
        super().__init__(inputs, outputs)
        sizes = (sum(math.prod(each.shape) for each in inputs.values()), *hidden)
        stages = [nn.Linear(before, behind) for before, behind in pairwise(sizes)]
        for layer in stages:
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)
        self.stages = nn.ModuleList(stages)
        self.classifier = nn.Linear(sizes[-1], outputs)

    def trace(self, *inputs: Tensor) -> Trace:
        """Everything that a forward pass of inputs [B, ...] shows."""
        features, preactivation = [], []
        units = torch.cat([each.flatten(1) for each in inputs], dim=1)
        for stage in self.stages:
            before = stage(units)
            units = F.relu(before)
            features.append(units[:, :, None, None])
            preactivation.append(before[:, :, None, None])
        return Trace(self.classifier(units), units, tuple(features), tuple(preactivation))


def build(config: ModelConfig, inputs: Inputs, outputs: int) -> Perceptron:
    """A perceptron with ``depth`` hidden layers of 128 × width units."""
    hidden = scaled(config, [_BASE] * (config.depth or _DEFAULT_DEPTH))
    return Perceptron(inputs, outputs, hidden)


FAMILY = Family(
    name="mlp",
    about="Multi-layer perceptron on all inputs, images of any size among them",
    width="units of the hidden layers (128 at width 1)",
    depth="hidden layers, 1 to 8",
    default_depth=_DEFAULT_DEPTH,
    depths=range(1, 9),
    smallest_side=None,
    build=build,
)
