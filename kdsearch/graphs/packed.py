"""Networks whose weights are in a file as their way stores them, and are unpacked by the graph."""

from __future__ import annotations

from copy import deepcopy

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from kdsearch.graphs.samples import SampleNetwork
from kdsearch.models.weights.packed import packed_layers
from kdsearch.models.weights.saving import stored_dtype
from kdsearch.ways import Way


class Unpacked(nn.Module):
    """A weight that is computed of the tensors in which its way stores it.

    Args:
        way: The way.
        weight: Settled, on the processor.
        dtype: Of the numbers of the student as it is shipped.
    """

    def __init__(self, way: Way, weight: Tensor, dtype: torch.dtype) -> None:
        super().__init__()
        self.way, self.shape = way, tuple(weight.shape)
        for name, part in way.pack(weight, dtype).items():
            self.register_buffer(name, part)

    def forward(self, _: Tensor) -> Tensor:
        """The weight that the layer computes with."""
        return self.way.unpack(dict(self.named_buffers()), self.shape)


def packs(module: SampleNetwork) -> bool:
    """Whether a way says how the network's weights are stored."""
    return packed_layers(module.network)[0] is not None


def with_packed_weights(module: SampleNetwork) -> SampleNetwork:
    """A copy of a trained network whose weights are as small as on disk; it computes the same.

    Args:
        module: The network, on the processor, settled.
    """
    way, _ = packed_layers(module.network)
    assert way is not None
    held, dtype = deepcopy(module), stored_dtype(module.network)
    forms: dict[int, Unpacked] = {}
    gone = nn.Parameter(torch.empty(0), requires_grad=False)
    for _, layer in list(way.layers(held.network)):
        place = id(layer.weight)
        if place not in forms:  # of layers that share a weight, the first
            forms[place] = Unpacked(way, layer.weight.detach(), dtype)
        layer.weight = gone
        # unsafe: nothing is left of the weight that could be compared with what is unpacked
        parametrize.register_parametrization(layer, "weight", forms[place], unsafe=True)
    return held
