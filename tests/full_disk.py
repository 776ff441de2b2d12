"""A disk that is full for one file: the kernel itself refuses to write."""

from __future__ import annotations

import os
from pathlib import Path


def no_room_for(path: Path) -> None:
    """Let this process's next try to write a file whole fail as on a full disk.

    What is written lands in ``/dev/full``, through the name that the unfinished file has.
    """
    path.with_name(f".{path.name}.{os.getpid()}.partial").symlink_to("/dev/full")
