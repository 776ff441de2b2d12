"""Crops, flips and rotations of uint8 images."""

from __future__ import annotations

import math
from functools import lru_cache

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from kdsearch.data.views.draws import Bits, Draw, change_
from kdsearch.data.views.resampling import affine

_ANGLE_BITS = 12


def crop_and_flip(images: Tensor, padding: int, flip: bool, bits: Bits) -> Tensor:
    """Crop at a random place of the zero-padded image, then mirror it with probability ½.

    Args:
        images: [B, C, H, W], of any type.
        padding: Zeros added on each side; 0 leaves the crop out.
        flip: Whether to mirror left to right.
        bits: The draws of the samples.

    Returns:
        [B, C, H, W].
    """
    if padding:
        row, column = (bits(draw) % (2 * padding + 1) for draw in (Draw.CROP_ROW, Draw.CROP_COLUMN))
        images = _crop(images, padding, row, column)
    return _mirror(images, bits(Draw.FLIP) % 2, -1) if flip else images


def vertical_flip(images: Tensor, bits: Bits) -> Tensor:
    """Mirror images [B, C, H, W] upside down with probability ½."""
    return _mirror(images, bits(Draw.VERTICAL_FLIP) % 2, -2)


def rotation(images: Tensor, bits: Bits, degrees: float) -> Tensor:
    """Rotate images [B, C, H, W] about their centre by an angle within ± ``degrees``.

    The angle is one of 4096 evenly spaced ones; bilinear, black where the image was not.
    """
    maps = _rotations(degrees, images.device)
    maps = maps.index_select(0, bits(Draw.ROTATION) >> (63 - _ANGLE_BITS))
    return change_(images, None, affine, maps)


@lru_cache(maxsize=8)
def _rotations(degrees: float, device: torch.device) -> Tensor:
    """Maps [4096, 6] of the angles; made on the CPU, since sines differ by device."""
    count = 1 << _ANGLE_BITS
    middles = ((torch.arange(count, dtype=torch.float64) + 0.5) / count * 2 - 1) * degrees
    return fixed_point([rotated(angle) for angle in middles.tolist()]).to(device)


def rotated(degrees: float) -> tuple[float, ...]:
    """The map of :func:`~kdsearch.data.views.resampling.affine`, counter-clockwise."""
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return cosine, -sine, 0.0, sine, cosine, 0.0


def fixed_point(maps: list[tuple[float, ...]]) -> Tensor:
    """Maps [N, 6] as :func:`~kdsearch.data.views.resampling.affine` takes them."""
    return (torch.tensor(maps, dtype=torch.float64) * 2.0**32).round().to(torch.int64)


def _crop(images: Tensor, padding: int, row: Tensor, column: Tensor) -> Tensor:
    """The crop of each padded image [B, C, H, W] whose first pixel is at (row, column) [B]."""
    padded = F.pad(images, (padding, padding, padding, padding))
    starts = _row_starts(tuple(images.shape), padding, images.device)
    starts = starts + (row * padded.shape[3] + column)[:, None]
    # Every run of W pixels is a row of this view, and copying whole rows is several times faster
    # than gathering pixels.
    runs = padded.reshape(-1).unfold(0, images.shape[3], 1)
    return runs.index_select(0, starts.flatten()).view(images.shape)


@lru_cache(maxsize=8)
def _row_starts(shape: tuple[int, ...], padding: int, device: torch.device) -> Tensor:
    """Place [B, C · H] in the padded, flattened images of each row of the crops at (0, 0)."""
    batch, channels, height, width = shape
    wide = width + 2 * padding
    channel = (height + 2 * padding) * wide
    image = torch.arange(batch, device=device)[:, None, None] * (channels * channel)
    plane = torch.arange(channels, device=device)[:, None] * channel
    return (image + plane + torch.arange(height, device=device) * wide).flatten(1)


def _mirror(images: Tensor, mirrored: Tensor, dimension: int) -> Tensor:
    """The images [B, C, H, W], turned round along a side where ``mirrored`` [B] is 1 and not 0."""
    # Mirroring all and choosing is faster than mirroring some, and waits for no answer of a GPU.
    both = torch.cat([images, images.flip(dimension)])
    own = torch.arange(len(images), device=images.device)
    return both.index_select(0, own + mirrored * len(images))
