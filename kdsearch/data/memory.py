"""How much memory there is to hold pictures in."""

from __future__ import annotations

import os
from pathlib import Path

from kdsearch.errors import DataError

_CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")


def memory_bytes() -> int:
    """Memory of the machine, or of the container that this process is in (Linux, macOS)."""
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if not _CGROUP_LIMIT.is_file():
        return physical
    limit = _CGROUP_LIMIT.read_text().strip()
    return min(physical, int(limit)) if limit.isdigit() else physical


def check_memory(samples: int, height: int, width: int, where: str) -> None:
    """Refuse RGB pictures that would not fit, before any is decoded.

    Half of the memory is the bound because the splits are copied out of the decoded pictures.

    Raises:
        DataError: uint8 [samples, 3, height, width] takes more than half of the memory.
    """
    needed, available = samples * 3 * height * width, memory_bytes()
    if needed > available / 2:
        raise DataError(
            f"{where}: {samples} pictures of {height}×{width} take {needed / 1e9:.1f} GB, more "
            f"than half of this machine's {available / 1e9:.1f} GB; lower data.image_size or use "
            "fewer pictures"
        )
