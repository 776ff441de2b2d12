"""Images read between their pixels.

The arithmetic is the same on every device, bit for bit: places are whole numbers, and operations
on floating-point numbers are rounded one by one, where a fused kernel such as ``grid_sample``
rounds as each device does.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

FRACTION = 16
"""Bits of a place behind the pixel."""

_BORDER = 2
"""Pixels of black on each side: a place is never further out than these."""


def interpolate_rows(images: Tensor, first: Tensor, second: Tensor, weight: Tensor) -> Tensor:
    """New rows, each between two rows of the image.

    Args:
        images: [B, C, H, W] uint8.
        first: [B, R] int64, a row of the image for each new one.
        second: [B, R] int64, another.
        weight: [B, R] float32 in [0, 1], the share of the second.

    Returns:
        [B, C, R, W] uint8.
    """
    batch, channels, height, width = images.shape
    rows = images.reshape(-1, width)
    planes = torch.arange(batch * channels, device=images.device) * height
    planes = planes.view(batch, channels, 1)
    near, far = (
        rows.index_select(0, (planes + place[:, None]).flatten()).to(torch.float32)
        for place in (first, second)
    )
    share = weight[:, None].expand(-1, channels, -1).reshape(-1, 1)
    # Half is rounded up, as Pillow and torchvision do where they resize.
    mixed = _between(near, far, share).add_(0.5).to(torch.uint8)
    return mixed.view(batch, channels, -1, width)


def _between(near: Tensor, far: Tensor, share: Tensor) -> Tensor:
    """``near + share * (far - near)``, each operation rounded; ``far`` is spent."""
    return far.sub_(near).mul_(share).add_(near)


def affine(images: Tensor, maps: Tensor) -> Tensor:
    """Images under affine maps, bilinear, black where a map leaves the image.

    Args:
        images: [B, C, H, W] uint8.
        maps: [B, 6] int64: for each image the rows of a matrix [2, 3] in units of 2⁻³², which gives
            to a pixel's place (x, y, 1) of the result, from the centre, its place in the image.

    Returns:
        [B, C, H, W] uint8.
    """
    height, width = images.shape[2:]
    x, y = (_from_centre(length, images.device) for length in (width, height))
    across, down = (
        _places(row, x, y, length) for row, length in ((maps[:, :3], width), (maps[:, 3:], height))
    )
    return _read(images, across, down)


def _from_centre(length: int, device: torch.device) -> Tensor:
    """Places [length] of the pixels of a side from its middle, in half pixels."""
    return 2 * torch.arange(length, device=device) - (length - 1)


def _places(row: Tensor, x: Tensor, y: Tensor, length: int) -> Tensor:
    """Places [B, H, W] along a side of ``length`` pixels, in 2⁻¹⁶ pixels; int32.

    Those outside by more than the border are moved to its edge.
    """
    shift = 33 - FRACTION
    constant = 2 * row[:, 2:] + ((length - 1) << 32)
    along = (row[:, :1] * x + constant) >> shift
    beside = (row[:, 1:2] * y) >> shift
    low, high = -_BORDER << FRACTION, length << FRACTION
    # Cut before and after the sum, which then fits 32 bits.
    limit = (1 << 30) - 1
    along, beside = (part.clamp(-limit, limit).to(torch.int32) for part in (along, beside))
    return (along[:, None, :] + beside[:, :, None]).clamp_(low, high)


def _read(images: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """The images [B, C, H, W] at places x, y [B, H, W] between four pixels."""
    batch, channels, height, width = images.shape
    wide, high = width + 2 * _BORDER, height + 2 * _BORDER
    first = torch.arange(batch, dtype=torch.int32, device=x.device) * (wide * high)
    first = (first + _BORDER * (wide + 1))[:, None, None]
    corner = ((y >> FRACTION) * wide).add_(x >> FRACTION).add_(first).flatten()
    across, down = (
        (place & ((1 << FRACTION) - 1)).to(torch.float32).mul_(2.0**-FRACTION).flatten()
        for place in (x, y)
    )
    result = torch.empty((channels, batch * height * width), dtype=torch.uint8, device=x.device)
    padded = F.pad(images, (_BORDER,) * 4)
    for start in range(0, channels, 4):
        pixels = _packed(padded[:, start : start + 4])
        corners = [_at(pixels, corner + step) for step in (0, 1, wide, wide + 1)]
        for channel in range(min(channels - start, 4)):
            own, right, below, diagonal = (each[:, channel].to(torch.float32) for each in corners)
            upper, lower = _between(own, right, across), _between(below, diagonal, across)
            result[start + channel] = _between(upper, lower, down).round_()
    return result.view(channels, batch, height, width).transpose(0, 1).contiguous()


def _packed(images: Tensor) -> Tensor:
    """Pixels [B · H · W] of up to four channels, each one number, so that one reading has all."""
    batch, channels, height, width = images.shape
    if channels == 1:
        return images.flatten()
    packed = images.new_zeros((batch, height, width, 4))
    packed[..., :channels] = images.permute(0, 2, 3, 1)
    return packed.view(torch.int32).flatten()


def _at(pixels: Tensor, places: Tensor) -> Tensor:
    """The channels [N, 1 or 4] of packed pixels at places [N]."""
    read = pixels.index_select(0, places)
    return read[:, None] if read.dtype == torch.uint8 else read.view(torch.uint8).view(-1, 4)
