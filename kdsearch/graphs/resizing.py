"""Images of any size as those of the training: the centre square, resized, inside a graph."""

from __future__ import annotations

import torch
from torch import Tensor

from kdsearch.models.resizing import shares


def resized(images: Tensor, height: int, width: int) -> Tensor:
    """The centre square of images [B, C, H, W] as float32 [B, C, height, width], same range.

    Bilinear and antialiased, as Pillow reads image files
    (:func:`~kdsearch.models.resizing.shares`). Written as two matrix products whose weights follow
    from H and W in the graph itself, so that one exported graph takes images of any size; of images
    that have the size already these are unit matrices, and nothing changes. The 8-bit rounding that
    Pillow does is left out.
    """
    rows, columns = (
        torch.arange(images.shape[axis], device=images.device, dtype=torch.float64)
        for axis in (2, 3)
    )
    side = torch.minimum(rows[-1], columns[-1]) + 1
    pixels = images.to(torch.float32)
    return shares(rows, side, height) @ pixels @ shares(columns, side, width).mT
