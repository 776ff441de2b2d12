"""Random changes of pictures, as pure functions of (seed, epoch, sample index).

Every random number is a hash of these three and of the number of the draw, so a sample's view does
not depend on the batch it is in, on the order of the epoch, or on the device.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from kdsearch.data.random import randint, random_bits
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


def check_augmentation(augment: Augmentation, sides: Sequence[int]) -> None:
    """Refuse changes that could leave nothing of a picture.

    Args:
        augment: The changes.
        sides: (height, width) of the pictures.

    Raises:
        DataError: A crop's padding as wide as the picture, or a cutout larger than it.
    """
    height, width = sides
    if augment.crop >= min(height, width):
        raise DataError(
            f"data.augment.crop ({augment.crop}) must be below the pictures' sides "
            f"({height}×{width}), or a crop may hold padding alone"
        )
    if augment.cutout > min(height, width):
        raise DataError(
            f"data.augment.cutout ({augment.cutout}) must not exceed the pictures' sides "
            f"({height}×{width})"
        )


def crop_and_flip(
    images: Tensor, padding: int, flip: bool, seed: int, epoch: int, index: Tensor
) -> Tensor:
    """Crop at a random place of the zero-padded picture, then mirror it with probability ½.

    Args:
        images: [B, C, H, W], of any type.
        padding: Zeros added on each side; 0 leaves the crop out.
        flip: Whether to mirror left to right.
        seed: Seed of the views.
        epoch: Epoch the views belong to.
        index: [B] sample indices.

    Returns:
        [B, C, H, W].
    """
    if not padding and not flip:
        return images
    batch, channels, height, width = images.shape
    rows = torch.arange(height, device=images.device).expand(batch, height)
    columns = torch.arange(width, device=images.device).expand(batch, width)
    if flip:
        mirrored = randint(seed, epoch, index, Draw.FLIP, 2).bool()
        columns = torch.where(mirrored[:, None], width - 1 - columns, columns)
    if padding:
        rows = rows + randint(seed, epoch, index, Draw.CROP_ROW, 2 * padding + 1)[:, None]
        columns = columns + randint(seed, epoch, index, Draw.CROP_COLUMN, 2 * padding + 1)[:, None]
        images = F.pad(images, (padding, padding, padding, padding))
    # One gather over flattened pixels is several times faster than indexing rows and columns.
    pixels = (rows[:, :, None] * images.shape[3] + columns[:, None, :]).view(batch, 1, -1)
    found = images.reshape(batch, channels, -1).gather(2, pixels.expand(-1, channels, -1))
    return found.view(batch, channels, height, width)


def cutout(images: Tensor, side: int, seed: int, epoch: int, index: Tensor) -> Tensor:
    """Blank a square whose centre is a random pixel (DeVries & Taylor 2017).

    Args:
        images: [B, C, H, W], normalised, so that the fill of 0 is the mean.
        side: Side of the square in pixels; what lies beyond the border is clipped.
        seed: Seed of the views.
        epoch: Epoch the views belong to.
        index: [B] sample indices.

    Returns:
        [B, C, H, W].
    """
    if not side:
        return images
    _, _, height, width = images.shape
    rows = _covered(randint(seed, epoch, index, Draw.CUTOUT_ROW, height), side, height)
    columns = _covered(randint(seed, epoch, index, Draw.CUTOUT_COLUMN, width), side, width)
    return images.masked_fill((rows[:, :, None] & columns[:, None, :])[:, None], 0)


def _covered(centre: Tensor, side: int, length: int) -> Tensor:
    """Mask [B, length] of the pixels under a square of ``side`` around ``centre`` [B]."""
    offset = torch.arange(length, device=centre.device) - (centre - side // 2)[:, None]
    return (offset >= 0) & (offset < side)


def mixup_partner(size: int, seed: int, epoch: int, index: Tensor) -> Tensor:
    """The sample [B] that each is blended with, any of the ``size`` of the split."""
    return randint(seed, epoch, index, Draw.MIXUP_PARTNER, size)


def mixup_share(alpha: float, seed: int, epoch: int, index: Tensor) -> Tensor:
    """The share [B] of each sample's own picture, from Beta(α, α) (Zhang et al. 2018).

    A draw takes one of 4096 equally likely midpoint quantiles, which are exact on every device.
    """
    place = random_bits(seed, epoch, index, Draw.MIXUP_SHARE) >> (63 - _QUANTILE_BITS)
    return _beta_quantiles(alpha, index.device)[place]


def blend(own: Tensor, other: Tensor, share: Tensor) -> Tensor:
    """``share * own + (1 - share) * other`` of [B, C, H, W] pictures, share [B].

    Three separately rounded operations: a fused one would round differently by device.
    """
    share = share[:, None, None, None]
    return own * share + other * (1 - share)


@lru_cache(maxsize=16)
def _beta_quantiles(alpha: float, device: torch.device) -> Tensor:
    # Imported late: SciPy's statistics take a second to load, and only mixup needs them.
    from scipy.stats import beta

    count = 1 << _QUANTILE_BITS
    middles = (np.arange(count) + 0.5) / count
    quantiles = torch.from_numpy(beta.ppf(middles, alpha, alpha)).to(torch.float32)
    return quantiles.to(device)
