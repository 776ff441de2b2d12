"""Files that are written whole or not at all, and the sums that prove it."""

from __future__ import annotations

import errno
import glob
import hashlib
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

_NODE = platform.node()[:64]
"""Processes of two nodes that share a folder may have one id."""

NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
"""Errors of a disk on which there is no room, or none for this user."""

_BLOCK = 4096
"""Bytes that are looked through at once for the end of a line."""


@contextmanager
def taking_name_last(path: Path) -> Iterator[Path]:
    """Where to write the content of ``path``, which it becomes at the end; a failure leaves none.

    What a process leaves that is killed on the way is found by :func:`remove_partial`.
    """
    partial = partial_file(path)
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def partial_file(path: Path) -> Path:
    """Where this process writes what becomes ``path``."""
    return path.with_name(f".{path.name}{_mine()}")


def remove_partial(folder: Path, start: str = ".") -> None:
    """Remove what writers have left that were killed on the way, of files whose names start so."""
    for left in folder.glob(f"{glob.escape(start)}*.partial"):
        if not left.name.endswith(_mine()):
            left.unlink(missing_ok=True)


def _mine() -> str:
    return f".{_NODE}-{os.getpid()}.partial"


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that a reader, or a crash, sees all of it or the old one.

    Raises:
        OSError: It cannot be written; the error names the file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with taking_name_last(path) as partial, partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:  # a full disk does not say of which file
        raise OSError(error.errno, error.strerror, str(path)) from error


def vanished(path: Path) -> FileNotFoundError:
    """That something which was there is gone."""
    return FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))


def unwritable(folder: Path) -> str | None:
    """Why a folder cannot be made or nothing be made in it, as ``PATH is FAULT``."""
    place = folder.absolute()
    while not place.exists():
        place = place.parent
    if not place.is_dir():
        return f"{place} is not a folder"
    return None if os.access(place, os.W_OK | os.X_OK) else f"{place} is write-protected"


def checksum(path: Path) -> str:
    """SHA-256 of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def whole_lines(file: BinaryIO) -> int:
    """Bytes up to the end of the last whole line, looked for from the end of the file."""
    end = file.seek(0, os.SEEK_END)
    while end:
        start = max(0, end - _BLOCK)
        file.seek(start)
        found = file.read(end - start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0
