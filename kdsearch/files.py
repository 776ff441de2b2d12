"""Files that are written whole or not at all, and the sums that prove it."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path


def partial_name(path: Path) -> Path:
    """Where the content of ``path`` is written before it takes its name."""
    return path.with_name(f".{path.name}.{os.getpid()}.partial")


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that a reader, or a crash, sees all of it or the old one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = partial_name(path)
    with partial.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def checksum(path: Path) -> str:
    """SHA-256 of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
