"""One way to a small model beside width and depth."""

from __future__ import annotations

from typing import Any

from pydantic import SerializerFunctionWrapHandler, model_serializer

from kdsearch.spec.base import Section
from kdsearch.spec.values import Number


class WayConfig(Section):
    """A way with every value decided."""

    name: str
    """The name that the way gives itself."""
    values: dict[str, Number] = {}
    """Its values by name."""
    cuts: bool = False
    """Whether it cuts the student from a wider network while it is trained. It is kept with the
    way, since a study is also looked at where a way of the user's own is not found."""

    @model_serializer(mode="wrap")
    def _without_default(self, written: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """``cuts`` only where it is so, which older files do not say."""
        content: dict[str, Any] = written(self)
        if not self.cuts:
            del content["cuts"]
        return content

    def __hash__(self) -> int:
        """Of equal values equal, in whatever order they are."""
        return hash((self.name, frozenset(self.values.items())))
