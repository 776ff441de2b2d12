"""How important a channel is, judged together with all that is coupled to it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from kdsearch.compression.layers import (
    CONVOLUTIONS,
    NORMALISATIONS,
    Side,
    each_group,
    sides,
)
from kdsearch.compression.units import Unit
from kdsearch.errors import ModelError
from kdsearch.models.dry_run import evaluating
from kdsearch.models.network import Network
from kdsearch.spec.concrete import Importance

Batches: TypeAlias = Sequence[Mapping[str, Tensor]]
"""Inputs by name, each [B, ...]."""

_Shares: TypeAlias = Mapping[Side, NDArray[np.float64]]
"""What each channel of a side adds to the importance of its unit."""


def scored(
    network: Network, found: Iterable[Unit], importance: Importance, batches: Batches = ()
) -> dict[int, float]:
    """The importance of units of a network, by their ``id``.

    ``magnitude``: the Euclidean norm of all weights of convolutions and linear layers that belong
    to the unit, those that make its channels and those that read them (Fang et al. 2023, DepGraph).
    ``bn_scale``: the mean absolute scale of its batch normalisations (Liu et al. 2017, network
    slimming); units without any, such as those inside of squeeze and excitation, go by their
    magnitude. ``activation``: the mean absolute value with which its channels enter convolutions
    and linear layers, over the batches, in eval mode; units that enter none go by their magnitude.

    Args:
        network: The network that is cut.
        found: Its units.
        importance: What is measured.
        batches: For ``activation``.

    Raises:
        ModelError: ``bn_scale`` of a network without batch normalisation, or ``activation``
            without batches.
    """
    known = list(found)
    magnitudes = {id(u): v for u, v in zip(known, _sums(known, _magnitudes(network)), strict=True)}
    if importance == "magnitude":
        return magnitudes
    shares = _MEASURES[importance](network, batches)
    measured = {}
    for unit in known:
        values = [shares[side][places] for side, places in unit.items() if side in shares]
        if values:
            measured[id(unit)] = float(np.concatenate(values).mean())
    return magnitudes | measured


def _sums(found: Sequence[Unit], shares: _Shares) -> list[float]:
    return [
        float(np.sqrt(sum(shares[s][p].sum() for s, p in unit.items() if s in shares)))
        for unit in found
    ]


def _magnitudes(network: Network) -> _Shares:
    """Sums of squared weights for each channel, as it comes out and as it goes in."""
    found = {}
    for side in sides(network):
        layer = network.get_submodule(side.layer)
        if isinstance(layer, NORMALISATIONS):
            continue
        squares = _squares(layer)
        if side.end != "in":
            found[side] = squares.sum(dim=1).numpy()
        elif isinstance(layer, CONVOLUTIONS):
            size, made = each_group(layer)
            by_group = squares.reshape(-1, made, size).sum(dim=1)
            found[side] = by_group.flatten().numpy()
        else:
            found[side] = squares.sum(dim=0).numpy()
    return found


def _squares(layer: nn.Module) -> Tensor:
    """Squared weights [outputs, inputs of a group], summed over a kernel's pixels."""
    weight = layer.weight
    assert isinstance(weight, Tensor)
    return (
        weight.detach().cpu().double().square().flatten(2).sum(dim=-1)
        if weight.ndim > 2
        else (weight.detach().cpu().double().square())
    )


def _scales(network: Network, _: Batches) -> _Shares:
    found = {}
    for side in sides(network):
        layer = network.get_submodule(side.layer)
        if isinstance(layer, NORMALISATIONS) and layer.weight is not None:
            found[side] = layer.weight.detach().abs().cpu().double().numpy()
    if not found:
        raise ModelError(
            f"importance bn_scale needs batch normalisation, and {network.family} has none; "
            "choose magnitude or activation"
        )
    return found


def _activations(network: Network, batches: Batches) -> _Shares:
    if not batches:
        raise ModelError("importance activation needs batches of training samples")
    sums: dict[str, Tensor] = {}
    names = {side.layer for side in sides(network)}

    def watched(name: str) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        def before(layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            if isinstance(layer, NORMALISATIONS):
                return
            values = inputs[0].detach().abs().double()
            channel = 1 if isinstance(layer, CONVOLUTIONS) else values.ndim - 1
            mean = values.movedim(channel, 0).flatten(1).mean(dim=1).cpu()
            sums[name] = sums.get(name, torch.zeros_like(mean)) + mean / len(batches)

        return before

    handles = [
        network.get_submodule(name).register_forward_pre_hook(watched(name)) for name in names
    ]
    try:
        with evaluating(network):
            for inputs in batches:
                network(*network.taken(inputs))
    finally:
        for handle in handles:
            handle.remove()
    return {side: sums[side.layer].numpy() for side in sides(network) if _enters(side, sums)}


def _enters(side: Side, sums: Mapping[str, Tensor]) -> bool:
    return side.end != "out" and side.layer in sums


_MEASURES: Mapping[str, Callable[[Network, Batches], _Shares]] = MappingProxyType(
    {"bn_scale": _scales, "activation": _activations}
)
