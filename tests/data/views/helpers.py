"""The draws of some samples, and images of random pixels."""

from __future__ import annotations

import numpy as np
import torch

from kdsearch.data.views.draws import Bits, Draw
from kdsearch.data.views.random_streams import randint, random_bits

SEED, EPOCH = 17, 3
INDEX = torch.tensor([5, 0, 900_001, 5, 12, 7, 8, 9, 10, 11, 2**40])
MANY = torch.arange(20_000)


def random_images(
    channels: int = 3, height: int = 7, width: int = 10, samples: int = len(INDEX)
) -> torch.Tensor:
    generator = np.random.default_rng(1)
    shape = (samples, channels, height, width)
    return torch.from_numpy(generator.integers(1, 256, shape, dtype=np.uint8))


def bits(index: torch.Tensor = INDEX, seed: int = SEED, epoch: int = EPOCH) -> Bits:
    return lambda draw: random_bits(seed, epoch, index, draw)


def drawn(draw: Draw, high: int) -> list[int]:
    return randint(SEED, EPOCH, INDEX, draw, high).tolist()


def numbers(draw: Draw) -> list[int]:
    """All 63 bits of each sample's draw."""
    return bits()(draw).tolist()


def far_apart(one: torch.Tensor, other: torch.Tensor) -> tuple[int, float]:
    """Of uint8 images the greatest difference of a value, and the share of values that differ."""
    difference = (one.int() - other.int()).abs()
    return int(difference.max()), float((difference > 0).double().mean())
