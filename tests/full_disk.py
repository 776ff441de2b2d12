"""A disk that is full for one file: the kernel itself refuses to write."""

from __future__ import annotations

from pathlib import Path

from kdsearch.files import partial_file


def no_room_for(path: Path) -> None:
    """Let this process's next try to write a file whole fail as on a full disk.

    What is written lands in ``/dev/full``, through the name that the unfinished file has.
    """
    partial_file(path).symlink_to("/dev/full")
