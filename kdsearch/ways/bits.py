"""Small whole numbers side by side in bytes."""

from __future__ import annotations

import math

import torch
from torch import Tensor

WIDTHS = (1, 2, 4, 8)
"""Bits of a number that fill a byte without a rest."""


def bits_for(count: int) -> int:
    """The fewest of :data:`WIDTHS` that tell so many things apart, at most 256."""
    return next(bits for bits in WIDTHS if count <= 2**bits)


def packed_size(count: int, bits: int) -> int:
    """Bytes of so many numbers."""
    return math.ceil(count * bits / 8)


def pack_bits(numbers: Tensor, bits: int) -> Tensor:
    """Numbers [N] below 2^bits as uint8 [⌈N · bits / 8⌉], the first in the lowest bits."""
    each = 8 // bits
    padded = torch.zeros(math.ceil(len(numbers) / each) * each, dtype=torch.uint8)
    padded[: len(numbers)] = numbers
    places = torch.arange(each, dtype=torch.uint8) * bits
    return (padded.reshape(-1, each) << places).sum(dim=1).to(torch.uint8)


def unpack_bits(packed: Tensor, bits: int, count: int) -> Tensor:
    """The numbers [count], int32, of :func:`pack_bits`."""
    if bits == 8:
        return packed.int()
    below = torch.tensor([2**place for place in range(0, 8, bits)], dtype=torch.int32)
    # a division, since PyTorch exports no shift of bytes as ONNX
    shifted = torch.div(packed.int()[:, None], below, rounding_mode="trunc")
    return torch.fmod(shifted, 2**bits).flatten()[:count]
