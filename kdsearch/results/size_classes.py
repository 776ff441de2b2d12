"""The student to ship in each class of size: up to 1,000 parameters, up to 10,000, and so on."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kdsearch.results.limits import Limits
from kdsearch.results.pick import Pick, pick

_COUNTS = ((10**9, "G"), (10**6, "M"), (10**3, "k"), (1, ""))
_TIMES = ((10**6, "s"), (10**3, "ms"), (1, "us"))


@dataclass(frozen=True)
class SizeClass:
    """A bound of the search's first size, a power of ten, and who is picked below it.

    Attributes:
        size: The size's name.
        bound: The largest value.
        pick: The student to ship among the finalists that keep it.
    """

    size: str
    bound: int
    pick: Pick

    @property
    def alias(self) -> str:
        """A short name of letters, digits and hyphens: ``up-to-10k`` of parameters."""
        units = _TIMES if self.size.endswith("latency") else _COUNTS
        factor, unit = next((f, u) for f, u in units if self.bound >= f)
        told = f"{self.bound // factor}{unit}"
        if self.size.endswith("latency"):
            return f"up-to-{told}" + ("" if self.size == "latency" else f"-{self.size}")
        if self.size in ("parameters", "bytes"):
            return f"up-to-{told}{'B' if self.size == 'bytes' else ''}"
        return f"up-to-{told}-{self.size}"


def size_classes(content: Mapping[str, Any]) -> list[SizeClass]:
    """The classes from the smallest to the largest finalist that is judged, small to large.

    Args:
        content: That of ``front.json``.
    """
    size, score = content["sizes"][0], f"mean_validation_{content['objective']}"
    judged = [row[size] for row in content["front"] if row.get(score) is not None]
    if not judged:
        return []
    first, last = (max(0, math.ceil(math.log10(each))) for each in (min(judged), max(judged)))
    bounds = (10**power for power in range(first, last + 1))
    return [SizeClass(size, each, pick(content, Limits(most={size: each}))) for each in bounds]
