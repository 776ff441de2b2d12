"""Weights as the ways of a network store them: without zeros, as codes, shared ones once."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from kdsearch.models.network import Network
from kdsearch.ways import Way, make_ways, storing

_PART = "."
"""Between the name of a weight and that of a part of it."""


def packed_layers(network: Network) -> tuple[Way | None, dict[str, tuple[int, ...]]]:
    """The way that stores a network's weights, and the shapes of these by name.

    Returns:
        ``None`` and no shapes where all are stored as they are.
    """
    way = storing(make_ways(network.config.ways)) if network.config is not None else None
    if way is None:
        return None, {}
    shapes = {f"{name}.weight": tuple(layer.weight.shape) for name, layer in way.layers(network)}
    return way, shapes


def shared_names(network: Network) -> dict[str, str]:
    """Names of weights that stand elsewhere too, each with the name that is stored."""
    if network.config is None or not network.config.ways:
        return {}
    first: dict[int, str] = {}
    found: dict[str, str] = {}
    for name, value in network.state_dict(keep_vars=True).items():
        if isinstance(value, Tensor):
            known = first.setdefault(id(value), name)
            if known != name:
                found[name] = known
    return found


def pack_state(
    network: Network, state: Mapping[str, Tensor], dtype: torch.dtype
) -> dict[str, Tensor]:
    """Tensors by name as they are stored.

    Args:
        network: Whose they are; settled.
        state: Of its parameters and buffers, on the processor.
        dtype: Of floating-point numbers.
    """
    way, shapes = packed_layers(network)
    shared = shared_names(network)
    found: dict[str, Tensor] = {}
    for name, value in state.items():
        if name in shared:
            continue
        if way is not None and name in shapes:
            parts = way.pack(value, dtype)
            found |= {f"{name}{_PART}{part}": each for part, each in parts.items()}
        else:
            found[name] = value.to(dtype) if value.is_floating_point() else value
    return found


def unpack_state(network: Network, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors that :func:`pack_state` stored; of any other file as they are."""
    way, shapes = packed_layers(network)
    found = dict(state)
    for name, shape in shapes.items():
        parts = {
            key.removeprefix(name + _PART): found.pop(key)
            for key in list(found)
            if key.startswith(name + _PART)
        }
        if parts and way is not None:
            found[name] = way.unpack(parts, shape)
    shared = shared_names(network)
    return found | {n: found[known] for n, known in shared.items() if known in found}
