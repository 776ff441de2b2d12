"""How much memory there is to hold images in."""

from __future__ import annotations

import os
from pathlib import Path

_CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")


def memory_bytes() -> int:
    """Memory of the machine, or of the container that this process is in (Linux, macOS)."""
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if not _CGROUP_LIMIT.is_file():
        return physical
    limit = _CGROUP_LIMIT.read_text().strip()
    return min(physical, int(limit)) if limit.isdigit() else physical


def fits_memory(samples: int, height: int, width: int) -> bool:
    """Whether uint8 [samples, 3, height, width] takes at most half of the memory.

    Half of it is the bound because the splits are copied out of the decoded images.
    """
    return samples * 3 * height * width <= memory_bytes() / 2
