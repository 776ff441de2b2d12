"""Random numbers as a pure function of named integers, bit-equal on every device."""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor

_GOLDEN = 0x9E3779B97F4A7C15
_MIX_1 = 0xBF58476D1CE4E5B9
_MIX_2 = 0x94D049BB133111EB
_PART = 1 << 15


def derive(seed: int, *names: str | int) -> int:
    """A seed in [0, 2**31) for the stream that ``names`` name, from one study seed."""
    text = "/".join([str(seed), *(str(name) for name in names)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") >> 1


def _signed(value: int) -> int:
    value &= 0xFFFFFFFFFFFFFFFF
    return value - (1 << 64) if value >= 1 << 63 else value


def _shift_right(x: Tensor, bits: int) -> Tensor:
    """Logical right shift; PyTorch's own is arithmetic on int64."""
    return (x >> bits) & ((1 << (64 - bits)) - 1)


def splitmix64(x: Tensor) -> Tensor:
    """The SplitMix64 finaliser of int64 values taken as unsigned (Steele, Lea & Flood 2014)."""
    x = x + _signed(_GOLDEN)
    x = (x ^ _shift_right(x, 30)) * _signed(_MIX_1)
    x = (x ^ _shift_right(x, 27)) * _signed(_MIX_2)
    return x ^ _shift_right(x, 31)


def random_bits(seed: int, epoch: int, index: Tensor, draw: int) -> Tensor:
    """63 random bits [B] of each sample index [B], as non-negative int64.

    Args:
        seed: Seed of the stream.
        epoch: Epoch the view belongs to.
        index: [B] int64 sample indices.
        draw: Which of the sample's draws this is.
    """
    key = derive(seed, epoch, draw)
    return _shift_right(splitmix64(splitmix64(index) ^ _signed(key * _GOLDEN)), 1)


def further_bits(bits: Tensor, count: int) -> Tensor:
    """More numbers of a draw [B]: [B, count] of 63 bits, as non-negative int64.

    They are the SplitMix64 sequence from the state ``bits``.
    """
    steps = torch.arange(count, device=bits.device) * _signed(_GOLDEN)
    return _shift_right(splitmix64(bits[:, None] + steps), 1)


def unit(bits: Tensor) -> Tensor:
    """Numbers in [0, 1), float64, from the 24 highest of 63 bits."""
    return (bits >> 39).to(torch.float64) * 2.0**-24


class EpochBits:
    """:func:`random_bits` of all samples of a split, hashed once an epoch instead of once a batch.

    Args:
        seed: Seed of the stream.
        size: Samples of the split.
        device: Where the bits are wanted.
    """

    def __init__(self, seed: int, size: int, device: torch.device) -> None:
        self._seed = seed
        self._size = size
        self._device = device
        self._epoch: int | None = None
        self._tables: dict[int, Tensor] = {}

    def __call__(self, epoch: int, index: Tensor, draw: int) -> Tensor:
        """What ``random_bits(seed, epoch, index, draw)`` is, for ``index`` [B] on the device."""
        if epoch != self._epoch:
            self._epoch, self._tables = epoch, {}
        if draw not in self._tables:
            self._tables[draw] = self._hashed(epoch, draw)
        return self._tables[draw].index_select(0, index)

    def _hashed(self, epoch: int, draw: int) -> Tensor:
        samples = torch.arange(self._size, device=self._device)
        # In parts that stay in the processor's cache, which is three times faster.
        parts = [random_bits(self._seed, epoch, part, draw) for part in samples.split(_PART)]
        return torch.cat(parts)


def randint(seed: int, epoch: int, index: Tensor, draw: int, high: int) -> Tensor:
    """Integers [B] in [0, high); the bias for a small ``high`` is below high / 2**63."""
    return random_bits(seed, epoch, index, draw) % high


def balanced_order(seed: int, epoch: int, labels: Tensor) -> Tensor:
    """As many samples [N] as there are labels [N], drawn with replacement, class by class.

    Each place of the order draws one of the classes that have samples, all with the same
    probability, and then one of its samples, likewise.
    """
    places = torch.arange(len(labels))
    counts = torch.bincount(labels)
    present = counts.nonzero().flatten()
    drawn = present[randint(seed, epoch, places, -2, len(present))]
    within = random_bits(seed, epoch, places, draw=-3) % counts[drawn]
    starts = counts.cumsum(0) - counts
    return torch.argsort(labels, stable=True)[starts[drawn] + within]


def epoch_order(seed: int, epoch: int, size: int) -> Tensor:
    """The order [size] in which an epoch visits its samples."""
    return torch.argsort(random_bits(seed, epoch, torch.arange(size), draw=-1), stable=True)
