"""One way to a small model beside width and depth."""

from __future__ import annotations

from kdsearch.spec.base import Section
from kdsearch.spec.values import Number


class WayConfig(Section):
    """A way with every value decided."""

    name: str
    """The name that the way gives itself."""
    values: dict[str, Number] = {}
    """Its values by name."""

    def __hash__(self) -> int:
        """Of equal values equal, in whatever order they are."""
        return hash((self.name, frozenset(self.values.items())))
