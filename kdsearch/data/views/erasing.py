"""Rectangles of normalised images filled with the mean."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from kdsearch.data.views.draws import Bits, Draw
from kdsearch.data.views.rectangles import covered, draw_shapes, first_that_fits


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
    row, column = bits(Draw.CUTOUT_ROW) % height, bits(Draw.CUTOUT_COLUMN) % width
    rows = covered(row - side // 2, side, height)
    return _blank_(images, rows, covered(column - side // 2, side, width))


def random_erasing_(
    images: Tensor, bits: Bits, probability: float, scale: Sequence[float], ratio: Sequence[float]
) -> Tensor:
    """Blank, in place, a random rectangle of some images (Zhong et al. 2020).

    Of ten shapes the first that is lower and narrower than the image is taken; where none is, the
    image stays as it is. torchvision's RandomErasing does so.

    Args:
        images: [B, C, H, W] float32, normalised, so that the fill of 0 is the mean.
        bits: The draws of the samples.
        probability: How often an image has a rectangle.
        scale: Smallest and largest area, as a share of the image's.
        ratio: Smallest and largest height divided by width.

    Returns:
        ``images``.
    """
    _, _, high, wide = images.shape
    heights, widths = draw_shapes(bits(Draw.ERASED_SHAPE), (high, wide), scale, ratio)
    height, width, found = first_that_fits(heights, widths, (heights < high) & (widths < wide))
    erased = found & (bits(Draw.ERASING) >> 39 < round(probability * (1 << 24)))
    height = torch.where(erased, height, 0)
    top = bits(Draw.ERASED_ROW) % (high - height + 1)
    left = bits(Draw.ERASED_COLUMN) % torch.where(erased, wide - width + 1, 1)
    rows = covered(top, height[:, None], high)
    return _blank_(images, rows, covered(left, width[:, None], wide))


def _blank_(images: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Images [B, C, H, W] float32, 0 where both masks [B, H] and [B, W] hold."""
    kept = ~(rows[:, :, None] & columns[:, None, :])[:, None]
    # The bits of a float, and none of them, are the float and 0.0; a fill by mask is ten times
    # slower, and a product with 0 would leave -0.0.
    images.view(torch.int32).bitwise_and_(-kept.to(torch.int32))
    return images
