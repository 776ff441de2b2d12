"""Weights that have few values: a layer's codebook, and a small number for each weight."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import torch
from torch import Tensor, nn

from kdsearch.errors import ModelError
from kdsearch.spec.hyperparameter import Hyperparameter
from kdsearch.spec.ranges import Choices
from kdsearch.ways.base import Way
from kdsearch.ways.bits import bits_for, pack_bits, packed_size, unpack_bits
from kdsearch.ways.constraints import begins_now, forms

_ITERATIONS = 30
"""Of k-means: on a line, from evenly spread centres, it changes little after."""


class Clustered(nn.Module):
    """A weight whose places of one code have one value, the mean over them.

    A step of the optimiser then moves that value by the mean of their gradients: it is the step
    projected onto the weights of this form.
    """

    codes: Tensor
    active: Tensor

    def __init__(self, shape: torch.Size, entries: int) -> None:
        super().__init__()
        self.entries = entries
        self.register_buffer("codes", torch.zeros(shape, dtype=torch.int64))
        self.register_buffer("active", torch.tensor(False))

    def forward(self, weight: Tensor) -> Tensor:
        """The weight that the layer computes with."""
        return torch.where(self.active, self.means(weight)[self.codes], weight)

    def means(self, weight: Tensor) -> Tensor:
        """The codebook [entries]; 0 where no place has the code."""
        codes, flat = self.codes.flatten(), weight.flatten()
        sums = weight.new_zeros(self.entries).index_add(0, codes, flat)
        counts = weight.new_zeros(self.entries).index_add(0, codes, torch.ones_like(flat))
        return sums / counts.clamp(min=1)


class Codebook(Way):
    """In each layer all weights get one of a few values, by k-means, which are trained further.

    The centres begin evenly spread from the smallest to the largest weight (Han et al. 2016,
    section 3.2). Codes are given once, ``after`` a share of the training.
    """

    name = "codebook"
    about = "weights have one of a few values"
    paper = "Han et al. 2016, Deep Compression"
    changes = "weights"
    hyperparameters = MappingProxyType(
        {
            "entries": Hyperparameter(
                32.0,
                Choices(choices=(4, 16, 32, 256)),
                "values of a layer",
                whole=True,
                minimum=2,
                maximum=256,
            ),
            "after": Hyperparameter(
                0.5, None, "share of the training after which codes are given", maximum=0.99
            ),
        }
    )

    @property
    def entries(self) -> int:
        """Values of a layer."""
        return int(self.values["entries"])

    def check(self, network: nn.Module) -> None:
        super().check(network)
        for name, layer in self.layers(network):
            count = layer.weight.numel()
            if self.entries >= count:
                raise ModelError(
                    f"{self.name}: {self.entries} entries are no fewer than the {count} weights of "
                    f"{name}; give fewer, or widen the student"
                )

    def form(self, shape: torch.Size) -> nn.Module:
        return Clustered(shape, self.entries)

    def step(self, network: nn.Module, done: int, total: int) -> None:
        if not begins_now(self.values["after"], done, total):
            return
        with torch.no_grad():
            for weight, form in forms(network, Clustered):
                form.codes.copy_(_codes(weight, self.entries))
                form.active.fill_(True)

    def pack(self, weight: Tensor, dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
        """The values [entries], and a code for each place."""
        values, codes = weight.flatten().unique(return_inverse=True)
        book = torch.zeros(self.entries)
        book[: len(values)] = values
        return {"values": book.to(dtype), "codes": pack_bits(codes, bits_for(self.entries))}

    def unpack(self, parts: Mapping[str, Tensor], shape: tuple[int, ...]) -> Tensor:
        count = torch.Size(shape).numel()
        codes = unpack_bits(parts["codes"], bits_for(self.entries), count)
        return parts["values"].float()[codes.long()].reshape(shape)

    def packed_bytes(self, shape: tuple[int, ...], bytes_each: int) -> int:
        codes = packed_size(torch.Size(shape).numel(), bits_for(self.entries))
        return self.entries * bytes_each + codes


def _codes(weight: Tensor, entries: int) -> Tensor:
    """The cluster of each weight by k-means on a line."""
    values = weight.flatten()
    centres = torch.linspace(
        float(values.min()), float(values.max()), entries, device=values.device
    )
    codes = _nearest(values, centres)
    for _ in range(_ITERATIONS):
        sums = torch.zeros_like(centres).index_add(0, codes, values)
        counts = torch.zeros_like(centres).index_add(0, codes, torch.ones_like(values))
        centres = torch.where(counts > 0, sums / counts.clamp(min=1), centres)
        codes = _nearest(values, centres)
    return codes.reshape(weight.shape)


def _nearest(values: Tensor, centres: Tensor) -> Tensor:
    """The place of the nearest of the centres, which rise, for each value."""
    return torch.bucketize(values, (centres[1:] + centres[:-1]) / 2)
