"""Average pooling to a given height and width, in a form that repeats exactly on a GPU."""

from __future__ import annotations

import torch
from torch import Tensor


def average_pool(maps: Tensor, height: int, width: int) -> Tensor:
    """Maps [..., H, W] averaged to [..., height, width], bin for bin as adaptive pooling does.

    Written as means of slices: unlike that of ``F.adaptive_avg_pool2d`` the gradient is
    deterministic on a GPU, and unlike a product with an averaging matrix it is no multiplication
    that would be counted, or done in lower precision under autocast.
    """
    return _pool_side(_pool_side(maps, -2, height), -1, width)


def _pool_side(maps: Tensor, dim: int, bins: int) -> Tensor:
    """Bin i of ``bins`` holds the mean of positions ⌊i·n/bins⌋ to ⌈(i+1)·n/bins⌉ − 1 of n."""
    size = maps.shape[dim]
    if size == bins:
        return maps
    if size % bins == 0:
        return maps.unflatten(dim, (bins, size // bins)).mean(dim)
    edges = [(i * size // bins, -(-(i + 1) * size // bins)) for i in range(bins)]
    return torch.stack([maps.narrow(dim, a, b - a).mean(dim) for a, b in edges], dim)
