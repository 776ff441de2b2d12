"""Weights as whole numbers of few bits, by a training that knows of it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import torch
from torch import Tensor, nn

from kdsearch.spec.hyperparameter import Hyperparameter
from kdsearch.spec.ranges import Choices
from kdsearch.ways.base import Way
from kdsearch.ways.bits import bits_for, pack_bits, packed_size, unpack_bits
from kdsearch.ways.constraints import begins_now, forms

_MANTISSA = 16
"""Bits of a scale's mantissa. The product with a whole number of 8 bits then has at most 24, as
many as float32, and is exact: a weight that is stored and read is the same to the bit."""


class Rounded(nn.Module):
    """A weight rounded to whole numbers times a scale of its output channel.

    The gradient passes the rounding as it is (straight-through, as
    ``torch.fake_quantize_per_channel_affine`` has it).
    """

    active: Tensor

    def __init__(self, bits: int) -> None:
        super().__init__()
        self.largest = largest(bits)
        self.register_buffer("active", torch.tensor(False))

    def forward(self, weight: Tensor) -> Tensor:
        """The weight that the layer computes with."""
        scale = scales(weight.detach(), self.largest)
        zero = torch.zeros_like(scale, dtype=torch.int32)
        rounded = torch.fake_quantize_per_channel_affine(
            weight, scale, zero, 0, -self.largest, self.largest
        )
        return torch.where(self.active, rounded, weight)


def largest(bits: int) -> int:
    """The largest whole number of so many bits; the smallest is its negative."""
    return 2 ** (bits - 1) - 1


def scales(weight: Tensor, most: int) -> Tensor:
    """The scale [O] of each output channel: its largest magnitude is ``most`` times it."""
    exact = weight.flatten(1).abs().amax(dim=1).clamp(min=torch.finfo(torch.float32).tiny) / most
    mantissa, exponent = torch.frexp(exact)
    return torch.ldexp((mantissa * 2**_MANTISSA).ceil() / 2**_MANTISSA, exponent)


class Quantize(Way):
    """Weights of few bits, symmetric, with a scale for each output channel.

    ``after`` a share of the training the student computes with rounded weights (Jacob et al. 2018,
    section 3). Activations stay in float32; the int8 file that is exported has those in 8 bits
    too.
    """

    name = "quantize"
    about = "weights of 2 to 8 bits"
    paper = "Jacob et al. 2018, Quantization and Training of Neural Networks"
    changes = "weights"
    hyperparameters = MappingProxyType(
        {
            "bits": Hyperparameter(
                8.0, Choices(choices=(4, 8)), "bits of a weight", whole=True, minimum=2, maximum=8
            ),
            "after": Hyperparameter(
                0.5, None, "share of the training after which weights are rounded", maximum=0.99
            ),
        }
    )

    @property
    def bits(self) -> int:
        """Bits of a weight."""
        return int(self.values["bits"])

    @property
    def stored_bits(self) -> int:
        """Bits in which it is stored, so that bytes have no rest."""
        return bits_for(2**self.bits)

    def form(self, shape: torch.Size) -> nn.Module:
        return Rounded(self.bits)

    def step(self, network: nn.Module, done: int, total: int) -> None:
        if begins_now(self.values["after"], done, total):
            for _, form in forms(network, Rounded):
                form.active.fill_(True)

    def pack(self, weight: Tensor, dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
        """The scales [O], float32 in any case, and the whole numbers, the smallest of them as 0."""
        most = largest(self.bits)
        scale = scales(weight, most)
        numbers = (weight / _by_channel(scale, weight.ndim)).round().to(torch.int64).flatten()
        return {"scales": scale, "numbers": pack_bits(numbers + most, self.stored_bits)}

    def unpack(self, parts: Mapping[str, Tensor], shape: tuple[int, ...]) -> Tensor:
        count = torch.Size(shape).numel()
        numbers = unpack_bits(parts["numbers"], self.stored_bits, count) - largest(self.bits)
        return numbers.reshape(shape).float() * _by_channel(parts["scales"], len(shape))

    def packed_bytes(self, shape: tuple[int, ...], bytes_each: int) -> int:
        return 4 * shape[0] + packed_size(torch.Size(shape).numel(), self.stored_bits)


def _by_channel(scale: Tensor, dimensions: int) -> Tensor:
    return scale.reshape(-1, *[1] * (dimensions - 1))
