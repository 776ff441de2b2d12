"""How important a channel is, judged together with all that is coupled to it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.func import functional_call

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


@dataclass(frozen=True)
class Samples:
    """A batch of training samples on which importance is measured.

    Attributes:
        inputs: By name, each [B, ...], on the network's device.
        loss: Of a network's outputs [B, S] on them, a scalar.
    """

    inputs: Mapping[str, Tensor]
    loss: Callable[[Tensor], Tensor]


Batches: TypeAlias = Sequence[Samples]

NEED_SAMPLES = ("activation", "taylor")
"""What is measured on training samples."""

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
    ``taylor``: the same norm of all weights times the gradients of the mean loss by them, over the
    batches, in eval mode (Molchanov et al. 2019, "Importance Estimation for Neural Network
    Pruning", with the sum over single weights): how much the loss depends on the unit, to first
    order.

    Args:
        network: The network that is cut.
        found: Its units.
        importance: What is measured.
        batches: For ``activation`` and ``taylor``.

    Raises:
        ModelError: ``bn_scale`` of a network without batch normalisation, or ``activation`` or
            ``taylor`` without batches.
    """
    known = list(found)
    if importance in NEED_SAMPLES and not batches:
        raise ModelError(f"importance {importance} needs batches of training samples")
    weights = _products(network, batches) if importance == "taylor" else _weights(network)
    sums = _sums(known, _squared(network, weights))
    magnitudes = {id(unit): value for unit, value in zip(known, sums, strict=True)}
    if importance in ("magnitude", "taylor"):
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


def _weights(network: Network) -> dict[str, Tensor]:
    """The weights of the layers whose channels can be cut, by the layers' names."""
    found = {}
    for name in dict.fromkeys(side.layer for side in sides(network)):
        layer = network.get_submodule(name)
        if not isinstance(layer, NORMALISATIONS):
            assert isinstance(layer.weight, Tensor)
            found[name] = layer.weight.detach()
    return found


def _products(network: Network, batches: Batches) -> dict[str, Tensor]:
    """These weights times the gradients of the mean loss by them."""
    weights = {name: value.requires_grad_() for name, value in _weights(network).items()}
    named = {f"{name}.weight": value for name, value in weights.items()}
    sums = {name: torch.zeros_like(value) for name, value in weights.items()}
    with evaluating(network), torch.enable_grad():
        for batch in batches:
            taken = network.taken(batch.inputs)
            loss = batch.loss(functional_call(network, named, taken))
            found = torch.autograd.grad(loss, list(weights.values()), materialize_grads=True)
            for name, gradient in zip(weights, found, strict=True):
                sums[name] += gradient
    return {name: value.detach() * sums[name] / len(batches) for name, value in weights.items()}


def _squared(network: Network, weights: Mapping[str, Tensor]) -> _Shares:
    """Sums of squares for each channel, as it comes out and as it goes in."""
    found = {}
    for side in sides(network):
        if side.layer not in weights:
            continue
        layer = network.get_submodule(side.layer)
        squares = _squares(weights[side.layer])
        if side.end != "in":
            found[side] = squares.sum(dim=1).numpy()
        elif isinstance(layer, CONVOLUTIONS):
            size, made = each_group(layer)
            by_group = squares.reshape(-1, made, size).sum(dim=1)
            found[side] = by_group.flatten().numpy()
        else:
            found[side] = squares.sum(dim=0).numpy()
    return found


def _squares(weight: Tensor) -> Tensor:
    """Squares [outputs, inputs of a group], summed over a kernel's pixels."""
    squares = weight.cpu().double().square()
    return squares.flatten(2).sum(dim=-1) if weight.ndim > 2 else squares


def _scales(network: Network, _: Batches) -> _Shares:
    found = {}
    for side in sides(network):
        layer = network.get_submodule(side.layer)
        if isinstance(layer, NORMALISATIONS) and layer.weight is not None:
            found[side] = layer.weight.detach().abs().cpu().double().numpy()
    if not found:
        raise ModelError(
            f"importance bn_scale needs batch normalisation, and {network.family} has none; "
            "choose magnitude, activation or taylor"
        )
    return found


def _activations(network: Network, batches: Batches) -> _Shares:
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
            for batch in batches:
                network(*network.taken(batch.inputs))
    finally:
        for handle in handles:
            handle.remove()
    return {side: sums[side.layer].numpy() for side in sides(network) if _enters(side, sums)}


def _enters(side: Side, sums: Mapping[str, Tensor]) -> bool:
    return side.end != "out" and side.layer in sums


_MEASURES: Mapping[str, Callable[[Network, Batches], _Shares]] = MappingProxyType(
    {"bn_scale": _scales, "activation": _activations}
)
