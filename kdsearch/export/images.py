"""Images that a student is asked about, which must be as those that it was trained on."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from kdsearch.errors import DataError


def check_shape(images: Tensor, image_shape: Sequence[int]) -> None:
    """Refuse what is no batch of images [B, C, H, W] of the student's shape, of uint8 or floats.

    Nothing is converted: of a grey image that is stretched over three channels, or one of another
    size, the answer would only look like one.

    Raises:
        DataError: It is something else.
    """
    if not isinstance(images, Tensor):
        raise DataError(
            f"images must be a torch.Tensor, not {type(images).__name__}; convert them by "
            "torch.as_tensor"
        )
    shape = "×".join(map(str, image_shape))
    if images.ndim == 3:
        raise DataError(
            f"images must be a batch [B, {', '.join(map(str, image_shape))}], not a single image; "
            "give images[None]"
        )
    if tuple(images.shape[1:]) != tuple(image_shape):
        raise DataError(
            f"the student takes images of {shape} (channels, height, width), not of "
            f"{'×'.join(map(str, images.shape[1:]))}; convert and resize them"
        )
    if images.dtype != torch.uint8 and not images.is_floating_point():
        raise DataError(
            f"images must be uint8 (0 to 255) or floats in [0, 1], not {images.dtype}; convert "
            "them by .to(torch.uint8), if they hold 0 to 255"
        )


def check_range(images: Tensor) -> None:
    """Refuse float images with values that are not in [0, 1].

    Raises:
        DataError: Some are outside, or not numbers.
    """
    if images.dtype == torch.uint8 or not images.numel():
        return
    low, high = (end.item() for end in images.aminmax())
    if not (low >= 0 and high <= 1):
        raise DataError(
            f"float images must be in [0, 1], and these are in [{low:.4g}, {high:.4g}]; give them "
            "as they are, not normalised, and divide by 255 if they hold 0 to 255"
        )
