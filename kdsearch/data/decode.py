"""Image files to tensors, many at a time."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from kdsearch.errors import DataError

_BROKEN = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    struct.error,
    Image.DecompressionBombError,
)
"""What Pillow lets through when a file is corrupt or is no image."""

_DEEP_MODES = ("I", "F", "I;16", "I;16L", "I;16B", "I;16N")
"""Modes of more than 8 bits a channel, which Pillow would clip instead of scaling."""

_FILES_A_TASK = 64


def decode(files: Sequence[Path], image_size: int | None, like: Path) -> Tensor:
    """Decode image files to RGB.

    An image is turned upright as its EXIF tag says. With ``image_size`` its shorter side is
    resized to that (bilinear, antialiased) and the centre square is cut out.

    Args:
        files: JPEG, PNG, BMP or WebP files.
        image_size: Side in pixels, or ``None`` to keep the size that all images have.
        like: The image whose size all must have.

    Returns:
        uint8 [N, 3, H, W].

    Raises:
        DataError: A broken file, more than 8 bits a channel, or sizes that differ where no
            ``image_size`` is given.
    """
    images = torch.empty((len(files), 3, *decoded_sides(like, image_size)), dtype=torch.uint8)
    decode_into(images.numpy(), files, image_size, like)
    return images


def decode_into(
    images: np.ndarray, files: Sequence[Path], image_size: int | None, like: Path
) -> None:
    """:func:`decode` into an array of the caller's, uint8 [N, 3, H, W]."""
    height, width = images.shape[2:]
    channels_last = images.transpose(0, 2, 3, 1)

    def fill(start: int) -> None:
        for place in range(start, min(start + _FILES_A_TASK, len(files))):
            image = _decode_one(files[place], image_size)
            if image.shape[:2] != (height, width):
                raise DataError(
                    f"{files[place]} is {image.shape[0]}×{image.shape[1]} and {like} is "
                    f"{height}×{width} pixels; set data.image_size"
                )
            channels_last[place] = image

    with ThreadPoolExecutor() as pool:
        # Taking every result is what raises the first error; the tasks not begun are dropped.
        for _ in pool.map(fill, range(0, len(files), _FILES_A_TASK)):
            pass


def decoded_sides(file: Path, image_size: int | None) -> tuple[int, int]:
    """(height, width) that a file will have once decoded."""
    height, width, _ = _decode_one(file, image_size).shape
    return height, width


def _decode_one(file: Path, image_size: int | None) -> np.ndarray:
    """One image as uint8 [H, W, 3]."""
    try:
        with Image.open(file) as opened:
            deep = opened.mode in _DEEP_MODES
            image = ImageOps.exif_transpose(opened).convert("RGB")
    except _BROKEN as error:
        raise DataError(f"{file} cannot be decoded ({error}); replace or remove it") from error
    if deep:
        raise DataError(f"{file} has more than 8 bits a channel; convert it to 8")
    return np.asarray(image if image_size is None else _resize(image, image_size))


def _resize(image: Image.Image, size: int) -> Image.Image:
    from torchvision.transforms import functional

    # Pillow's bilinear filter always antialiases.
    return functional.center_crop(functional.resize(image, [size]), [size, size])
