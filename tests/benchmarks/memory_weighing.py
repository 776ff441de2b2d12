"""The memory of a process and its descendants: proportional bytes by role and kind."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

KINDS = ("object store", "cache", "own memory", "other files")
ROLES = ("driver", "trials", "Ray")

_OF_TRIALS = ("ray::ResourceTrainable", "ray::StudentTrial")
"""Processes of trials by Ray Tune's own name for the trainable, and by kdsearch's."""

Weights = dict[tuple[str, str], float]
"""Bytes by role of the process and kind of memory."""


def weigh(driver: int, cache: str) -> Weights:
    """Proportional bytes of a search.

    Args:
        driver: The process that runs it.
        cache: The folder of the cache.
    """
    found: Counter[tuple[str, str]] = Counter()
    for process in processes_below(driver):
        try:
            role = _role(process, driver)
            for kind, size in mapped(process, cache):
                found[role, kind] += size
        except OSError:  # it ended meanwhile
            continue
    return {key: float(size) for key, size in found.items()}


def total(weights: Weights, role: str = "", kind: str = "") -> float:
    """Sum over a role and a kind; without one, over all."""
    return sum(
        size
        for (of, what), size in weights.items()
        if (not role or of == role) and (not kind or what == kind)
    )


def processes_below(root: int) -> list[int]:
    """A process and all that descend from it."""
    parents = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
            except OSError:  # it ended meanwhile
                continue
            parents[int(folder.name)] = int(fields[1])
    found, last = {root}, 0
    while len(found) > last:
        last = len(found)
        found |= {process for process, parent in parents.items() if parent in found}
    return sorted(found)


def mapped(process: int, cache: str) -> Iterator[tuple[str, int]]:
    """Kind and proportional bytes of each mapping of a process."""
    kind = ""
    for line in Path(f"/proc/{process}/smaps").read_text().splitlines():
        if re.match(r"[0-9a-f]+-[0-9a-f]+ ", line):
            kind = _kind("".join(line.split(maxsplit=5)[5:]), cache)
        elif line.startswith("Pss:"):
            yield kind, 1024 * int(line.split()[1])


def _kind(path: str, cache: str) -> str:
    if path.startswith("/dev/shm/"):
        return "object store"
    if path.startswith(cache):
        return "cache"
    return "other files" if path.startswith("/") else "own memory"


def _role(process: int, driver: int) -> str:
    if process == driver:
        return "driver"
    command = Path(f"/proc/{process}/cmdline").read_bytes().decode(errors="replace")
    return "trials" if command.startswith(_OF_TRIALS) else "Ray"
