"""How large a network is, known before it is trained."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from kdsearch.models.dry_run import blank_inputs, evaluating
from kdsearch.models.inputs import Inputs
from kdsearch.models.network import Network
from kdsearch.models.registry import blueprint
from kdsearch.models.weights.packed import packed_layers
from kdsearch.spec.concrete import ModelConfig

_FLOAT_BYTES = {"float32": 4, "float16": 2}


@dataclass(frozen=True)
class Size:
    """Three measures of a network.

    Attributes:
        parameters: Weights, frozen ones too; shared ones once.
        macs: Multiply-accumulates of one sample's forward pass in eval mode, in convolutions,
            linear layers and attention, and of resizing to a size of its own; normalisation,
            activations and pooling are not counted.
        bytes: What the state dict takes as it is shipped: four bytes (float32) or two (float16)
            for every floating-point weight and buffer, and integer buffers (batch normalisation's
            step counters) as they are; shared tensors once, file headers not counted. Weights that
            a way stores in another form take what that takes.
    """

    parameters: int
    macs: int
    bytes: int


def measure(network: Network) -> Size:
    """The size of a network; its mode and its weights stay as they are."""
    return Size(
        parameters=sum(parameter.numel() for parameter in network.parameters()),
        macs=_macs(network),
        bytes=_stored_bytes(network),
    )


def measure_config(config: ModelConfig, inputs: Inputs, outputs: int) -> Size:
    """The size of the network that a configuration describes.

    Raises:
        ModelError: As :func:`~kdsearch.models.build_network`.
    """
    return measure(blueprint(config, inputs, outputs))


def _macs(network: Network) -> int:
    from torch.utils.flop_counter import FlopCounterMode  # late: it loads Triton

    sample = blank_inputs(network, network.inputs, count=1)
    counter = FlopCounterMode(display=False)
    with evaluating(network), _countable_attention(), counter:
        network(*sample)
    return counter.get_total_flops() // 2


@contextmanager
def _countable_attention() -> Iterator[None]:
    """Attention in parts: the counter does not know PyTorch's fused inference kernel."""
    enabled = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(enabled)


def _stored_bytes(network: Network) -> int:
    floats = _FLOAT_BYTES[network.stored]
    way, shapes = packed_layers(network)
    state = network.state_dict(keep_vars=True)
    tensors = {
        id(t): (name, t) for name, t in reversed(state.items()) if isinstance(t, torch.Tensor)
    }
    return sum(
        way.packed_bytes(shapes[name], floats)
        if way is not None and name in shapes
        else t.numel() * (floats if t.is_floating_point() else t.element_size())
        for name, t in tensors.values()
    )
