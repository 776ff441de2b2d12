"""Bilinear, antialiased resizing as two matrix products."""

from __future__ import annotations

import torch
from torch import Tensor


def shares(places: Tensor, side: Tensor, count: int) -> Tensor:
    """What each of N pixels in a line gives to each of ``count``, of which they are resized to.

    As Pillow resizes: the value at a place is the mean of the pixels around it, weighted by a
    triangle whose half width is one pixel of the larger of the two grids.

    Args:
        places: 0 to N - 1, float64.
        side: How many of the pixels, those in the middle, are resized; a scalar.
        count: Pixels afterwards.

    Returns:
        Float32 [count, N], each row of sum 1.
    """
    scale = side / count
    start = (places[-1] + 1 - side) / 2
    centres = start + (torch.arange(count, device=places.device, dtype=torch.float64) + 0.5) * scale
    distance = (places + 0.5 - centres[:, None]).abs() / scale.clamp(min=1)
    weights = torch.relu(1 - distance)
    return (weights / weights.sum(dim=1, keepdim=True)).to(torch.float32)
