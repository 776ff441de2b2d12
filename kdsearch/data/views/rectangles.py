"""Random rectangles by share of the area and by the ratio of the sides, and the pixels in one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor

from kdsearch.data.views.random_streams import further_bits, unit

TRIES = 10
"""Shapes that are drawn for a sample, of which the first that fits is taken."""

_RATIO_BITS = 12


def draw_shapes(
    bits: Tensor, sides: tuple[int, int], scale: Sequence[float], ratio: Sequence[float]
) -> tuple[Tensor, Tensor]:
    """Ten rectangles for each sample, as torchvision draws them one after another.

    The area is uniform between the ends of ``scale``, the ratio uniform in its logarithm, of 4096
    values.

    Args:
        bits: [B], of one draw of the samples.
        sides: (height, width) of the images.
        scale: Smallest and largest area, as a share of the image's.
        ratio: Smallest and largest quotient of the first side returned and the second.

    Returns:
        Two sides [B, 10], int64, in pixels, whether they fit or not.
    """
    drawn = further_bits(bits, TRIES)
    area = (unit(drawn) * (scale[1] - scale[0]) + scale[0]) * float(sides[0] * sides[1])
    stretch = _stretches(ratio[0], ratio[1], bits.device)
    stretch = stretch[drawn & ((1 << _RATIO_BITS) - 1)]
    root = area.sqrt()
    first, second = (root * stretch).round(), (root / stretch).round()
    return first.to(torch.int64), second.to(torch.int64)


@lru_cache(maxsize=8)
def _stretches(low: float, high: float, device: torch.device) -> Tensor:
    """Square roots [4096] of ratios; made on the CPU, since exponentials differ by device."""
    count = 1 << _RATIO_BITS
    middles = (torch.arange(count, dtype=torch.float64) + 0.5) / count
    low, high = math.log(low), math.log(high)
    return ((middles * (high - low) + low) / 2).exp().to(device)


def first_that_fits(first: Tensor, second: Tensor, fits: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Of rectangles [B, 10] the first that fits: its sides [B], and whether there is one [B]."""
    # The place of the first maximum, made plain: argmax may give any of several.
    places = torch.arange(TRIES, device=fits.device)
    place = torch.where(fits, places, TRIES).amin(dim=1, keepdim=True)
    found = place[:, 0] < TRIES
    place = place.clamp(max=TRIES - 1)
    return first.gather(1, place)[:, 0], second.gather(1, place)[:, 0], found


def covered(start: Tensor, size: int | Tensor, length: int) -> Tensor:
    """Mask [B, length] of the ``size`` pixels (a number, or [B, 1]) from ``start`` [B] on."""
    offset = torch.arange(length, device=start.device) - start[:, None]
    return (offset >= 0) & (offset < size)
