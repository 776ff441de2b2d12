"""The base of every section of a search-space file."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, SerializerFunctionWrapHandler, model_serializer


class Section(BaseModel):
    """A typed section that refuses keys it does not know and cannot be changed once made."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False
    )


class GrownSection(Section):
    """A section to which fields were added later.

    They are written only where they are set, so that files and keys of before stay as they were.
    """

    since_first: ClassVar[frozenset[str]]
    """The fields of the first version, which are always written."""

    @model_serializer(mode="wrap")
    def _without_defaults(self, written: SerializerFunctionWrapHandler) -> dict[str, Any]:
        content: dict[str, Any] = written(self)
        fields = type(self).model_fields
        for name in fields.keys() - self.since_first:
            if getattr(self, name) == fields[name].default:
                content.pop(name, None)
        return content
