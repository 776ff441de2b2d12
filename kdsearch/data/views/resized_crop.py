"""The random resized crop (Szegedy et al. 2015)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from kdsearch.data.views.draws import Bits, Draw, change_
from kdsearch.data.views.rectangles import draw_shapes, first_that_fits
from kdsearch.data.views.resampling import interpolate_rows


def random_resized_crop(
    images: Tensor, bits: Bits, scale: Sequence[float], ratio: Sequence[float]
) -> Tensor:
    """Cut a random part out of each image and resize it to the image's size, bilinear.

    Args:
        images: [B, C, H, W] uint8.
        bits: The draws of the samples.
        scale: Smallest and largest area of the part, as a share of the image's.
        ratio: Smallest and largest width divided by height.

    Returns:
        [B, C, H, W] uint8.
    """
    height, width = images.shape[2:]
    return resized(images, draw_boxes(bits, (height, width), scale, ratio))


def draw_boxes(
    bits: Bits, sides: tuple[int, int], scale: Sequence[float], ratio: Sequence[float]
) -> Tensor:
    """A random part of each image of ``sides`` (height, width): top, left, height, width [B, 4].

    Of ten shapes the first that lies within the image is taken, at a random place; where none does,
    the largest part in the middle whose ratio is allowed. torchvision's RandomResizedCrop does so.
    """
    high, wide = sides
    widths, heights = draw_shapes(bits(Draw.CROP_SHAPE), sides, scale, ratio)
    fits = (widths > 0) & (widths <= wide) & (heights > 0) & (heights <= high)
    width, height, found = first_that_fits(widths, heights, fits)
    full_height, full_width = _largest(sides, ratio)
    height = torch.where(found, height, full_height)
    width = torch.where(found, width, full_width)
    spare_rows, spare_columns = high - height, wide - width
    top = torch.where(found, bits(Draw.CROP_ROW) % (spare_rows + 1), spare_rows // 2)
    left = torch.where(found, bits(Draw.CROP_COLUMN) % (spare_columns + 1), spare_columns // 2)
    return torch.stack([top, left, height, width], dim=1)


def _largest(sides: tuple[int, int], ratio: Sequence[float]) -> tuple[int, int]:
    """(height, width) of the largest part whose ratio is allowed."""
    height, width = sides
    if width / height < ratio[0]:
        return max(round(width / ratio[0]), 1), width
    if width / height > ratio[1]:
        return height, max(round(height * ratio[1]), 1)
    return height, width


def resized(images: Tensor, boxes: Tensor) -> Tensor:
    """The part of each image [B, C, H, W] uint8 in its box [B, 4], resized to [H, W], bilinear.

    Along the rows first, then along the columns, each rounded to uint8, as Pillow does. Nothing
    outside the box is read.
    """
    return change_(images, None, _resized, boxes)


def _resized(images: Tensor, boxes: Tensor) -> Tensor:
    high, wide = images.shape[2:]
    top, left, height, width = boxes.unbind(1)
    # Columns as rows, because whole rows are copied much faster than pixels.
    columns = images.transpose(2, 3).contiguous()
    columns = interpolate_rows(columns, *_between_rows(left, width, wide))
    rows = columns.transpose(2, 3).contiguous()
    return interpolate_rows(rows, *_between_rows(top, height, high))


def _between_rows(start: Tensor, length: Tensor, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """For ``count`` new rows the two rows [B, count] that each lies between, and its place there.

    The middle of the new row i is at (i + ½) · length / count of the box.
    """
    middle = torch.arange(count, dtype=torch.float64, device=start.device) + 0.5
    # By a tensor because CUDA turns division by a number into multiplication by its inverse.
    whole = torch.full((), float(count), dtype=torch.float64, device=start.device)
    place = (middle * length[:, None]).div_(whole).sub_(0.5).clamp_(min=0)
    first = place.floor()
    weight = (place - first).to(torch.float32)
    near = first.to(torch.int64)
    far = torch.minimum(near + 1, length[:, None] - 1)
    return start[:, None] + near, start[:, None] + far, weight
