"""One way to a small model beside width and depth."""

from __future__ import annotations

from typing import ClassVar

from kdsearch.spec.base import GrownSection
from kdsearch.spec.values import Number


class WayConfig(GrownSection):
    """A way with every value decided."""

    since_first: ClassVar[frozenset[str]] = frozenset({"name", "values"})

    name: str
    """The name that the way gives itself."""
    values: dict[str, Number] = {}
    """Its values by name."""
    cuts: bool = False
    """Whether it cuts the student from a wider network while it is trained. It is kept with the
    way, since a study is also looked at where a way of the user's own is not found."""

    def __hash__(self) -> int:
        """Of equal values equal, in whatever order they are."""
        return hash((self.name, frozenset(self.values.items())))
