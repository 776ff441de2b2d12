"""Images of any size as those of the training: the centre square, resized, inside a graph."""

from __future__ import annotations

import torch
from torch import Tensor


def resized(images: Tensor, height: int, width: int) -> Tensor:
    """The centre square of images [B, C, H, W] as float32 [B, C, height, width], same range.

    Bilinear and antialiased, as Pillow reads image files: the value at a place is the mean of the
    pixels around it, weighted by a triangle whose half width is one pixel of the larger of the two
    grids. Written as two matrix products whose weights follow from H and W in the graph itself, so
    that one exported graph takes images of any size; of images that have the size already these
    are unit matrices, and nothing changes. The 8-bit rounding that Pillow does is left out.
    """
    rows, columns = (
        torch.arange(images.shape[axis], device=images.device, dtype=torch.float64)
        for axis in (2, 3)
    )
    side = torch.minimum(rows[-1], columns[-1]) + 1
    pixels = images.to(torch.float32)
    return _weights(rows, side, height) @ pixels @ _weights(columns, side, width).mT


def _weights(places: Tensor, side: Tensor, count: int) -> Tensor:
    """Shares [count, N] of N pixels, of which the middle ``side`` ones are resized to ``count``."""
    scale = side / count
    start = (places[-1] + 1 - side) / 2
    centres = start + (torch.arange(count, device=places.device, dtype=torch.float64) + 0.5) * scale
    distance = (places + 0.5 - centres[:, None]).abs() / scale.clamp(min=1)
    weights = torch.relu(1 - distance)
    return (weights / weights.sum(dim=1, keepdim=True)).to(torch.float32)
