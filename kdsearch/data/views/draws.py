"""The random draws of a sample, and how a change reaches some samples of a batch alone."""

from __future__ import annotations

import math
from collections.abc import Callable
from enum import IntEnum

import torch
from torch import Tensor

_PART = 1 << 18
"""Pixels that are changed at a time: what a processor's cache holds, which is twice as fast."""


class Draw(IntEnum):
    """The number of each random draw of a sample; no two share one."""

    CROP_ROW = 0
    CROP_COLUMN = 1
    FLIP = 2
    CUTOUT_ROW = 3
    CUTOUT_COLUMN = 4
    MIXUP_PARTNER = 5
    MIXUP_SHARE = 6
    CROP_SHAPE = 7
    VERTICAL_FLIP = 8
    ROTATION = 9
    POLICY = 10
    JITTER_ORDER = 11
    BRIGHTNESS = 12
    CONTRAST = 13
    SATURATION = 14
    HUE = 15
    ERASING = 16
    ERASED_SHAPE = 17
    ERASED_ROW = 18
    ERASED_COLUMN = 19
    CUTMIX = 20
    CUTMIX_SHARE = 21
    CUTMIX_ROW = 22
    CUTMIX_COLUMN = 23


Bits = Callable[[Draw], Tensor]
"""The 63 random bits [B] of each sample of a batch for a draw, as non-negative int64."""


def change_(
    images: Tensor,
    chosen: Tensor | None,
    change: Callable[[Tensor, Tensor], Tensor],
    strength: Tensor,
) -> Tensor:
    """Change some images of a batch, which may be spent.

    Args:
        images: [B, C, H, W] uint8.
        chosen: [B] bool, which of them; ``None`` for all.
        change: Given some of the images and their strengths, the changed images. It must treat each
            by itself, so that any part of a batch gives the bits that the whole batch gives.
        strength: [B, …], what ``change`` needs to know of each image.

    Returns:
        [B, C, H, W] uint8.
    """
    if images.is_cuda:
        # To ask which are chosen would wait for all that the device has yet to do.
        changed = change(images, strength)
        if chosen is None:
            return changed
        return torch.where(chosen[:, None, None, None], changed, images)
    size = max(_PART // math.prod(images.shape[1:]), 1)
    if chosen is None:
        parts = zip(images.split(size), strength.split(size), strict=True)
        return torch.cat([change(*part) for part in parts])
    places = chosen.nonzero().flatten()
    for part in places.split(size) if len(places) else ():
        some = change(images.index_select(0, part), strength.index_select(0, part))
        images.index_copy_(0, part, some)
    return images
