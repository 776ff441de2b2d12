"""Working in the folder of a cache, which another process may remove at any time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from filelock import Timeout
from safetensors import SafetensorError

from kdsearch.errors import TeacherError

Result = TypeVar("Result")

_USED = "used"


def work_in(folder: Path, work: Callable[[], Result], again: bool = True) -> Result:
    """Do something that writes in the folder, a second time where it was removed meanwhile.

    Raises:
        TeacherError: The disk is full, or the folder cannot be written.
        filelock.Timeout: From ``work``.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return work()
    except Timeout:
        raise
    except (OSError, SafetensorError) as problem:
        if again:
            return work_in(folder, work, again=False)
        raise TeacherError(
            f"the teacher's answers cannot be written to {folder} ({problem}); make room there, "
            "set cache.folder to another disk, or lower cache.disk_gb"
        ) from problem


def mark_used(folder: Path) -> None:
    """Note that a cache is in use now, so that others make room before it."""
    work_in(folder, (folder / _USED).touch)


def last_used(folder: Path) -> float | None:
    """When a cache was used last, in seconds of the clock; ``None`` for what is no cache."""
    try:
        return (folder / _USED).stat().st_mtime
    except OSError:
        return None
