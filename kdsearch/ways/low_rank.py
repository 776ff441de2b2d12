"""Layers as products of two or three smaller ones."""

from __future__ import annotations

from collections.abc import Iterator
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn

from kdsearch.errors import ModelError
from kdsearch.spec.hyperparameter import Hyperparameter
from kdsearch.spec.ranges import Range
from kdsearch.ways.base import Way
from kdsearch.ways.layers import CONVOLUTIONS, Weighted, weighted_layers


class LowRank(Way):
    """Linear layers and 1×1 convolutions by SVD, other convolutions by Tucker-2.

    A matrix [O, I] becomes two of rank r, U √S and √S Vᵀ (Denton et al. 2014). A convolution
    becomes a 1×1 one to r₁ channels, one of the kernel to r₂, and a 1×1 one, whose ends are the
    leading singular vectors of its weights by inputs and by outputs (Kim et al. 2016, section 3.1).
    A rank is ``rank`` of the largest that is possible, rounded, at least 1. Layers that would have
    no fewer weights stay as they are, and so does the head.
    """

    name = "low_rank"
    about = "layers as products of smaller ones"
    paper = "Kim et al. 2016, Compression of Deep Convolutional Neural Networks"
    changes = "layers"
    hyperparameters = MappingProxyType(
        {
            "rank": Hyperparameter(
                0.5,
                Range(low=0.1, high=0.7),
                "rank as a share of the largest possible",
                minimum=0.01,
                maximum=0.99,
            )
        }
    )

    def layers(self, network: nn.Module) -> Iterator[tuple[str, Weighted]]:
        """Those that become smaller."""
        head, within = getattr(network, "head", None), _attention(network)
        for name, layer in weighted_layers(network):
            grouped = isinstance(layer, CONVOLUTIONS) and layer.groups > 1
            if layer is head or grouped or name.startswith(within):
                continue
            if _weights(factors(layer, self.values["rank"])) < _weights([layer]):
                yield name, layer

    def check(self, network: nn.Module) -> None:
        if not list(self.layers(network)):
            raise ModelError(
                f"{self.name}: with a rank of {self.values['rank']:g} no layer has fewer weights "
                "than before; lower it, or widen the student"
            )

    def reshape(self, network: nn.Module) -> None:
        for name, layer in list(self.layers(network)):
            network.set_submodule(name, nn.Sequential(*factors(layer, self.values["rank"])))

    def fill(self, network: nn.Module, whole: nn.Module) -> None:
        others = dict(whole.named_modules())
        for name, part in network.named_modules():
            own = others.get(name)
            if isinstance(own, (*CONVOLUTIONS, nn.Linear)) and isinstance(part, nn.Sequential):
                factorise(own, part)
        own = network.state_dict()
        copied = {name: value for name, value in whole.state_dict().items() if name in own}
        network.load_state_dict(copied, strict=False)


def factors(layer: Weighted, share: float) -> list[nn.Module]:
    """The smaller layers in a layer's place, with random weights, on its device."""
    device, bias = layer.weight.device, layer.bias is not None
    if isinstance(layer, nn.Linear):
        rank = _rank(share, min(layer.weight.shape))
        inner = nn.Linear(layer.in_features, rank, bias=False, device=device)
        return [inner, nn.Linear(rank, layer.out_features, bias=bias, device=device)]
    kind: Any = type(layer)
    outputs, inputs = layer.out_channels, layer.in_channels
    settings: dict[str, Any] = {
        "stride": layer.stride,
        "padding": layer.padding,
        "dilation": layer.dilation,
        "padding_mode": layer.padding_mode,
    }
    if set(layer.kernel_size) == {1}:
        rank = _rank(share, min(outputs, inputs))
        first = kind(inputs, rank, 1, bias=False, device=device, **settings)
        return [first, kind(rank, outputs, 1, bias=bias, device=device)]
    before, behind = _rank(share, inputs), _rank(share, outputs)
    return [
        kind(inputs, before, 1, bias=False, device=device),
        kind(before, behind, layer.kernel_size, bias=False, device=device, **settings),
        kind(behind, outputs, 1, bias=bias, device=device),
    ]


@torch.no_grad()
def factorise(layer: Weighted, parts: nn.Sequential) -> None:
    """Give the smaller layers the weights that come nearest to a layer's."""
    weight, matrix = layer.weight, layer.weight.flatten(1).double()
    smaller: list[Any] = list(parts)
    first, *_, last = smaller
    if len(smaller) == 2:
        rank = len(first.weight)
        left, values, right = torch.linalg.svd(matrix, full_matrices=False)
        roots = values[:rank].sqrt()
        _set(first, roots[:, None] * right[:rank])
        _set(last, left[:, :rank] * roots)
    else:
        core, outputs = smaller[1].weight, weight.double()
        left = torch.linalg.svd(matrix, full_matrices=False)[0][:, : core.shape[0]]
        by_input = outputs.transpose(0, 1).flatten(1)
        right = torch.linalg.svd(by_input, full_matrices=False)[0][:, : core.shape[1]]
        _set(first, right.T)
        _set(smaller[1], torch.einsum("oi...,or,is->rs...", outputs, left, right))
        _set(last, left)
    if layer.bias is not None:
        last.bias.copy_(layer.bias)


def _set(layer: Weighted, values: Tensor) -> None:
    layer.weight.copy_(values.reshape(layer.weight.shape))


def _rank(share: float, largest: int) -> int:
    return max(1, round(share * largest))


def _weights(layers: list[nn.Module]) -> int:
    return sum(each.numel() for layer in layers for each in layer.parameters())


def _attention(network: nn.Module) -> tuple[str, ...]:
    """What the names of layers begin with whose weights PyTorch's attention reads itself."""
    found = (n for n, each in network.named_modules() if isinstance(each, nn.MultiheadAttention))
    return tuple(f"{name}." for name in found)
