"""Image files to tensors, many at a time."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from kdsearch.data.images.decode_errors import ImageError, Trouble, told
from kdsearch.data.images.pillow import own_limits, read_image
from kdsearch.errors import DataError

_FILES_A_TASK = 64

WHITE = "white"
"""What transparent pixels are laid on unless ``data.background`` says otherwise."""


def decode(
    files: Sequence[Path], image_size: int | None, like: Path, background: str = WHITE
) -> Tensor:
    """Decode image files to RGB.

    An image is turned upright as its EXIF tag says, and what is transparent shows the background.
    With ``image_size`` the centre square is cut out and resized to that (bilinear, antialiased).

    Args:
        files: Files that Pillow reads; of an animation the first frame counts.
        image_size: Side in pixels, or ``None`` to keep the size that all images have.
        like: The image whose size all must have.
        background: Colour on which transparent images are laid.

    Returns:
        uint8 [N, 3, H, W].

    Raises:
        DataError: Broken files, more than 8 bits a channel, or sizes that differ where no
            ``image_size`` is given; the message names the first ten files and counts all.
    """
    return decode_groups([files], image_size, like, background)[0]


def decode_groups(
    groups: Sequence[Sequence[Path]],
    image_size: int | None,
    like: Path,
    background: str = WHITE,
) -> list[Tensor]:
    """:func:`decode` of several lists of files, each into a tensor of its own."""
    sides = decoded_sides(like, image_size, background)
    decoded, troubles = [], []
    for files in groups:
        images = torch.empty((len(files), 3, *sides), dtype=torch.uint8)
        troubles += _fill(images.numpy(), files, image_size, background)
        decoded.append(images)
    _refuse(troubles, sum(map(len, groups)), like, sides)
    return decoded


def decode_into(
    images: np.ndarray,
    files: Sequence[Path],
    image_size: int | None,
    like: Path,
    background: str = WHITE,
) -> None:
    """:func:`decode` into an array of the caller's, uint8 [N, 3, H, W]."""
    troubles = _fill(images, files, image_size, background)
    _refuse(troubles, len(files), like, (images.shape[2], images.shape[3]))


def decoded_sides(file: Path, image_size: int | None, background: str = WHITE) -> tuple[int, int]:
    """(height, width) that a file will have once decoded."""
    if image_size is not None:
        return image_size, image_size
    try:
        with own_limits():
            height, width, _ = read_image(file, None, background).shape
    except ImageError as error:
        raise DataError(told([Trouble(file, error)], 1)) from error
    return height, width


def first_readable(files: Sequence[Path], image_size: int | None, background: str = WHITE) -> Path:
    """The first file that can be decoded, whose size the others must have.

    Raises:
        DataError: None of them can; the message is that of :func:`decode`.
    """
    if image_size is not None:
        return files[0]
    troubles = []
    with own_limits():
        for file in files:
            try:
                read_image(file, None, background)
            except ImageError as error:
                troubles.append(Trouble(file, error))
            else:
                return file
    raise DataError(told(troubles, len(files)))


def _fill(
    images: np.ndarray, files: Sequence[Path], image_size: int | None, background: str
) -> list[Trouble]:
    """Decode into ``images`` what can be; tell the rest, in the order of the files."""
    channels_last = images.transpose(0, 2, 3, 1)
    sides = images.shape[2:]

    def fill(start: int) -> list[Trouble]:
        troubles = []
        for place in range(start, min(start + _FILES_A_TASK, len(files))):
            try:
                image = read_image(files[place], image_size, background)
            except ImageError as error:
                troubles.append(Trouble(files[place], error))
                continue
            if image.shape[:2] == sides:
                channels_last[place] = image
            else:
                troubles.append(Trouble(files[place], None, (image.shape[0], image.shape[1])))
        return troubles

    with own_limits(), ThreadPoolExecutor() as pool:
        found = pool.map(fill, range(0, len(files), _FILES_A_TASK))
        return [trouble for troubles in found for trouble in troubles]


def _refuse(troubles: Sequence[Trouble], total: int, like: Path, sides: tuple[int, int]) -> None:
    if troubles:
        raise DataError(told(troubles, total, like, sides))
