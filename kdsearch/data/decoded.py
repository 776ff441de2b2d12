"""Images decoded once into a file, found again by what they were decoded from."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from filelock import FileLock

from kdsearch.data.decode import decode_into, decoded_sides
from kdsearch.data.mapped import open_images
from kdsearch.errors import DataError
from kdsearch.files import taking_name_last

FOLDER = ".kdsearch"
"""Folder under ``data.root`` that holds decoded images; it may be removed between studies."""

FORMAT = 1
"""Raised when a change of the decoding gives other pixels for the same file."""


def decoded_file(files: Sequence[Path], image_size: int | None, root: Path) -> Path:
    """The file that holds the decoded images of a folder, made if it is not there yet.

    It lies in ``ROOT/.kdsearch/``, so that nodes which share the images share it too. It is found
    again by the names, sizes and times of change of all image files, by ``image_size`` and by the
    version of the decoding. It takes its name when all of it is on the disk, so that a decoding
    that is killed leaves nothing that counts; one whose length is not what its header says is made
    again.

    Args:
        files: The image files under ``root``, in the order of their rows.
        image_size: As :func:`kdsearch.data.decode.decode_into` takes it.
        root: The data set's folder.

    Returns:
        A ``.npy`` file of uint8 [len(files), 3, H, W].

    Raises:
        DataError: The folder cannot be written, its disk has too little room, or images that
            cannot be decoded.
    """
    shape = (len(files), 3, *decoded_sides(files[0], image_size))
    file = root / FOLDER / f"{_key(files, image_size, root)}.npy"
    if _is_whole(file, shape):
        return file
    try:
        file.parent.mkdir(exist_ok=True)
        with FileLock(file.with_suffix(".lock")):
            if not _is_whole(file, shape):
                _write(file, shape, files, image_size)
    except OSError as error:
        raise DataError(
            f"{root}: its images take more than half of the memory and are decoded into "
            f"{file.parent}, which cannot be written ({error}); make it writable or lower "
            "data.image_size"
        ) from error
    return file


def _key(files: Sequence[Path], image_size: int | None, root: Path) -> str:
    """Content key of what :func:`decoded_file` makes."""
    digest = hashlib.sha256(json.dumps([FORMAT, image_size]).encode())
    for file in files:
        facts = file.stat()
        row = [str(file.relative_to(root)), facts.st_size, facts.st_mtime_ns]
        digest.update(json.dumps(row).encode())
    return digest.hexdigest()[:32]


def _is_whole(file: Path, shape: tuple[int, ...]) -> bool:
    """Whether the file is there and as long as images of ``shape`` are."""
    try:
        return open_images(file).shape == shape
    except (OSError, ValueError, EOFError):
        return False


def _write(
    file: Path, shape: tuple[int, ...], files: Sequence[Path], image_size: int | None
) -> None:
    """Decode into a file beside ``file``, which takes its name last."""
    for left in file.parent.glob(f".{file.name}.*.partial"):  # by decodings that were killed
        left.unlink()
    _check_room(file.parent, shape)
    with taking_name_last(file) as partial:
        images = np.lib.format.open_memmap(partial, mode="w+", dtype=np.uint8, shape=shape)
        _reserve(partial)
        decode_into(images, files, image_size, files[0])
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
