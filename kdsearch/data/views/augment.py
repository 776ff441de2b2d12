"""Random changes of images, as pure functions of (seed, epoch, sample index).

Every random number is a hash of these three and of the number of the draw, so a sample's view does
not depend on the batch it is in, on the order of the epoch, or on the device.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import IntEnum
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from kdsearch.errors import DataError
from kdsearch.spec.sections import Augmentation

_QUANTILE_BITS = 12


class Draw(IntEnum):
    """The number of each random draw of a sample; no two share one."""

    CROP_ROW = 0
    CROP_COLUMN = 1
    FLIP = 2
    CUTOUT_ROW = 3
    CUTOUT_COLUMN = 4
    MIXUP_PARTNER = 5
    MIXUP_SHARE = 6


Bits = Callable[[Draw], Tensor]
"""The 63 random bits [B] of each sample of a batch for a draw, as non-negative int64."""


def check_augmentation(augment: Augmentation, sides: Sequence[int]) -> None:
    """Refuse changes that could leave nothing of an image.

    Args:
        augment: The changes.
        sides: (height, width) of the images.

    Raises:
        DataError: A crop's padding as wide as the image, or a cutout larger than it.
    """
    height, width = sides
    if augment.crop >= min(height, width):
        raise DataError(
            f"data.augment.crop ({augment.crop}) must be below the images' sides "
            f"({height}×{width}), or a crop may hold padding alone"
        )
    if augment.cutout > min(height, width):
        raise DataError(
            f"data.augment.cutout ({augment.cutout}) must not exceed the images' sides "
            f"({height}×{width})"
        )


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
    return _mirror(images, bits(Draw.FLIP) % 2) if flip else images


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


def _mirror(images: Tensor, mirrored: Tensor) -> Tensor:
    """The images [B, C, H, W], left to right where ``mirrored`` [B] is 1 and not 0."""
    # Mirroring all and choosing is faster than mirroring some, and waits for no answer of a GPU.
    both = torch.cat([images, images.flip(-1)])
    own = torch.arange(len(images), device=images.device)
    return both.index_select(0, own + mirrored * len(images))


def cutout_(images: Tensor, side: int, bits: Bits) -> Tensor:
    """Blank, in place, a square whose centre is a random pixel (DeVries & Taylor 2017).

    Args:
        images: [B, C, H, W] float32, normalised, so that the fill of 0 is the mean.
        side: Side of the square in pixels; what lies beyond the border is clipped.
        bits: The draws of the samples.

    Returns:
        ``images``.
    """
    if not side:
        return images
    _, _, height, width = images.shape
    rows = _covered(bits(Draw.CUTOUT_ROW) % height, side, height)
    columns = _covered(bits(Draw.CUTOUT_COLUMN) % width, side, width)
    kept = ~(rows[:, :, None] & columns[:, None, :])[:, None]
    # The bits of a float, and none of them, are the float and 0.0; a fill by mask is ten times
    # slower, and a product with 0 would leave -0.0.
    images.view(torch.int32).bitwise_and_(-kept.to(torch.int32))
    return images


def _covered(centre: Tensor, side: int, length: int) -> Tensor:
    """Mask [B, length] of the pixels under a square of ``side`` around ``centre`` [B]."""
    offset = torch.arange(length, device=centre.device) - (centre - side // 2)[:, None]
    return (offset >= 0) & (offset < side)


def mixup_partner(size: int, bits: Bits) -> Tensor:
    """The sample [B] that each is blended with, any of the ``size`` of the split."""
    return bits(Draw.MIXUP_PARTNER) % size


def mixup_share(quantiles: Tensor, bits: Bits) -> Tensor:
    """The share [B] of each sample's own image, from Beta(α, α) (Zhang et al. 2018).

    Args:
        quantiles: :func:`beta_quantiles` of α, of which each is drawn as often.
        bits: The draws of the samples.
    """
    return quantiles.index_select(0, bits(Draw.MIXUP_SHARE) >> (63 - _QUANTILE_BITS))


def blend_(own: Tensor, other: Tensor, share: Tensor) -> Tensor:
    """``share * own + (1 - share) * other`` of [B, C, H, W] images, share [B]; both are spent.

    Three separately rounded operations: a fused one would round differently by device.
    """
    share = share[:, None, None, None]
    return own.mul_(share).add_(other.mul_(1 - share))


@lru_cache(maxsize=16)
def beta_quantiles(alpha: float, device: torch.device) -> Tensor:
    """4096 midpoint quantiles of Beta(α, α), the same on every device."""
    # Imported late: SciPy's statistics take a second to load, and only mixup needs them.
    from scipy.stats import beta

    count = 1 << _QUANTILE_BITS
    middles = (np.arange(count) + 0.5) / count
    quantiles = torch.from_numpy(beta.ppf(middles, alpha, alpha)).to(torch.float32)
    return quantiles.to(device)
