"""Weights of which most are zero: the smallest anywhere, or two of every four."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType

import torch
from torch import Tensor, nn

from kdsearch.errors import ModelError
from kdsearch.spec.hyperparameter import Hyperparameter
from kdsearch.spec.ranges import Range
from kdsearch.ways.base import Way
from kdsearch.ways.bits import pack_bits, packed_size, unpack_bits
from kdsearch.ways.constraints import forms
from kdsearch.ways.layers import Weighted

UPDATES = 100
"""How often a training decides anew which weights are zero."""


class Masked(nn.Module):
    """A weight with zeros where ``mask`` is false; those weights get no gradient."""

    mask: Tensor

    def __init__(self, shape: torch.Size) -> None:
        super().__init__()
        self.register_buffer("mask", torch.ones(shape, dtype=torch.bool))

    def forward(self, weight: Tensor) -> Tensor:
        """The weight that the layer computes with."""
        return weight * self.mask


class _Masking(Way):
    """Zeros that come gradually, by the magnitude of the weights."""

    changes = "weights"

    def form(self, shape: torch.Size) -> nn.Module:
        return Masked(shape)

    def step(self, network: nn.Module, done: int, total: int) -> None:
        updates = [UPDATES * steps // total for steps in (done - 1, done)]
        if updates[0] == updates[1]:
            return
        with torch.no_grad():
            for weight, form in forms(network, Masked):
                form.mask.copy_(self.mask(weight, done / total))

    def mask(self, weight: Tensor, progress: float) -> Tensor:
        """Which weights are no zeros after a share of the training."""
        raise NotImplementedError

    def kept(self, shape: tuple[int, ...]) -> int:
        """Weights that are no zeros at the end."""
        raise NotImplementedError

    def pack(self, weight: Tensor, dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
        """The values [K] that are no zeros, and a bit for each place."""
        flat, count = weight.flatten(), self.kept(tuple(weight.shape))
        places = flat.abs().topk(count).indices.sort().values
        used = torch.zeros(len(flat), dtype=torch.uint8)
        used[places] = 1
        return {"values": flat[places].to(dtype), "used": pack_bits(used, 1)}

    def unpack(self, parts: Mapping[str, Tensor], shape: tuple[int, ...]) -> Tensor:
        count = torch.Size(shape).numel()
        used = unpack_bits(parts["used"], 1, count)
        places = (used.cumsum(0) - 1).clamp(min=0)  # of each weight among the values
        return (parts["values"].float()[places] * used).reshape(shape)

    def packed_bytes(self, shape: tuple[int, ...], bytes_each: int) -> int:
        return self.kept(shape) * bytes_each + packed_size(torch.Size(shape).numel(), 1)


class Sparse(_Masking):
    """In each layer the smallest weights become zero, more and more of them.

    After a share p of the training, up to ``until``, s (1 − (1 − p / until)³) of a layer's weights
    are zero, s being the ``sparsity`` (equation 1). The smallest are chosen anew every hundredth of
    the training.
    """

    name = "sparse"
    about = "the smallest weights become zero"
    paper = "Zhu & Gupta 2018, To Prune, or Not to Prune"
    hyperparameters = MappingProxyType(
        {
            "sparsity": Hyperparameter(
                0.8,
                Range(low=0.5, high=0.95),
                "share of the weights that are zero at the end",
                minimum=0.01,
                maximum=0.99,
            ),
            "until": Hyperparameter(
                0.75,
                None,
                "share of the training at which it is reached",
                minimum=0.01,
                maximum=1.0,
            ),
        }
    )

    def kept(self, shape: tuple[int, ...]) -> int:
        count = torch.Size(shape).numel()
        return count - round(self.values["sparsity"] * count)

    def mask(self, weight: Tensor, progress: float) -> Tensor:
        done = min(progress / self.values["until"], 1.0)
        whole = weight.numel() - self.kept(tuple(weight.shape))
        zeros = round(whole * (1 - (1 - done) ** 3))
        flat = torch.ones(weight.numel(), dtype=torch.bool, device=weight.device)
        flat[weight.abs().flatten().topk(zeros, largest=False).indices] = False
        return flat.reshape(weight.shape)

    def check(self, network: nn.Module) -> None:
        super().check(network)
        for name, layer in self.layers(network):
            if self.kept(tuple(layer.weight.shape)) == 0:
                raise ModelError(
                    f"{self.name}: a sparsity of {self.values['sparsity']:g} leaves none of the "
                    f"{layer.weight.numel()} weights of {name}; lower it, or widen the student"
                )


class TwoOfFour(_Masking):
    """Of every four weights that follow each other in a row the two smaller become zero.

    A row holds the weights of one output channel. Hardware with sparse tensor cores reads this form
    as it is. A layer whose rows cannot be divided by four is left as it is.
    """

    name = "two_of_four"
    about = "two of any four weights are zero"
    paper = "Mishra et al. 2021, Accelerating Sparse Deep Neural Networks"
    hyperparameters = MappingProxyType(
        {
            "after": Hyperparameter(
                0.5,
                None,
                "share of the training after which it begins",
                maximum=0.99,
            )
        }
    )

    def layers(self, network: nn.Module) -> Iterator[tuple[str, Weighted]]:
        for name, layer in super().layers(network):
            if layer.weight[0].numel() % 4 == 0:
                yield name, layer

    def kept(self, shape: tuple[int, ...]) -> int:
        return torch.Size(shape).numel() // 2

    def mask(self, weight: Tensor, progress: float) -> Tensor:
        if progress < self.values["after"]:
            return torch.ones_like(weight, dtype=torch.bool)
        fours = weight.abs().reshape(-1, 4)
        mask = torch.zeros_like(fours, dtype=torch.bool)
        return mask.scatter_(1, fours.topk(2, dim=1).indices, True).reshape(weight.shape)

    def pack(self, weight: Tensor, dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
        """Two values of each four [K], and a bit for each place."""
        fours = weight.reshape(-1, 4)
        places = fours.abs().topk(2, dim=1).indices.sort(dim=1).values
        used = torch.zeros_like(fours, dtype=torch.uint8).scatter_(1, places, 1)
        return {
            "values": fours.gather(1, places).flatten().to(dtype),
            "used": pack_bits(used.flatten(), 1),
        }
