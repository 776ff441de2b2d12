"""Images decoded once into a file, found again by what they were decoded from."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from filelock import FileLock

from kdsearch.data.images.decode import WHITE, decode_into, decoded_sides, first_readable
from kdsearch.data.images.mapped import open_images
from kdsearch.errors import DataError
from kdsearch.files import remove_partial, taking_name_last

FOLDER = ".kdsearch"
"""Folder under ``data.root`` that holds decoded images; it may be removed between studies."""

FORMAT = 2
"""Raised when a change of the decoding gives other pixels for the same file."""


def decoded_file(
    files: Sequence[Path], image_size: int | None, root: Path, background: str = WHITE
) -> Path:
    """The file that holds the decoded images of a folder, made if it is not there yet.

    It lies in ``ROOT/.kdsearch/``, so that nodes which share the images share it too. It is found
    again by the names, sizes and times of change of all image files, by ``image_size``, by the
    background and by the version of the decoding. It takes its name when all of it is on the disk,
    so that a decoding that is killed leaves nothing that counts; one whose length is not what its
    header says is made again.

    Args:
        files: The image files, in the order of their rows; where they all lie under ``root``, it
            may be moved with them.
        image_size: As :func:`kdsearch.data.images.decode.decode_into` takes it.
        root: The data set's folder.
        background: Colour on which transparent images are laid.

    Returns:
        A ``.npy`` file of uint8 [len(files), 3, H, W].

    Raises:
        DataError: The folder cannot be written, its disk has too little room, or images that
            cannot be decoded.
    """
    like = first_readable(files, image_size, background)
    shape = (len(files), 3, *decoded_sides(like, image_size, background))
    file = root / FOLDER / f"{_key(files, image_size, background, root)}.npy"
    if _is_whole(file, shape):
        return file
    try:
        file.parent.mkdir(exist_ok=True)
        with FileLock(file.with_suffix(".lock")):
            if not _is_whole(file, shape):
                with _written(file, shape) as images:
                    decode_into(images, files, image_size, like, background)
    except OSError as error:
        raise DataError(
            f"{root}: its images take more than half of the memory and are decoded into "
            f"{file.parent}, which cannot be written ({error}); make it writable or lower "
            "data.image_size"
        ) from error
    return file


def _key(files: Sequence[Path], image_size: int | None, background: str, root: Path) -> str:
    """Content key of what :func:`decoded_file` makes."""
    digest = hashlib.sha256(json.dumps([FORMAT, image_size, background]).encode())
    for file in files:
        facts = file.stat()
        name = file.relative_to(root) if file.is_relative_to(root) else file.absolute()
        row = [str(name), facts.st_size, facts.st_mtime_ns]
        digest.update(json.dumps(row).encode())
    return digest.hexdigest()[:32]


def _is_whole(file: Path, shape: tuple[int, ...]) -> bool:
    """Whether the file is there and as long as images of ``shape`` are."""
    try:
        return open_images(file).shape == shape
    except (OSError, ValueError, EOFError):
        return False


@contextmanager
def _written(file: Path, shape: tuple[int, ...]) -> Iterator[np.ndarray]:
    """An array to decode into, over a file beside ``file`` which takes its name last."""
    remove_partial(file.parent, f".{file.name}.")
    _check_room(file.parent, shape)
    with taking_name_last(file) as partial:
        images = np.lib.format.open_memmap(partial, mode="w+", dtype=np.uint8, shape=shape)
        _reserve(partial)
        yield images
        images.flush()
        with partial.open("rb") as written:
            os.fsync(written.fileno())


def _check_room(folder: Path, shape: tuple[int, ...]) -> None:
    samples, _, height, width = shape
    needed, free = int(np.prod(shape)), shutil.disk_usage(folder).free
    if needed > free:
        raise DataError(
            f"{folder}: {samples} images of {height}×{width} take {needed / 1e9:.1f} GB there, "
            f"more than half of the memory, and the disk has {free / 1e9:.1f} GB free; make room, "
            "lower data.image_size or use fewer images"
        )


def _reserve(file: Path) -> None:
    """Take the file's blocks now: a disk that fills up under a mapped file kills the process."""
    if not hasattr(os, "posix_fallocate"):
        return  # macOS
    with file.open("r+b") as opened:
        os.posix_fallocate(opened.fileno(), 0, file.stat().st_size)
