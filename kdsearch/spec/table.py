"""``data.table``: a file with a row for each image."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field, field_validator

from kdsearch.spec.base import Section
from kdsearch.spec.values import UserPath, listed


class TableSection(Section):
    """``data.table``: the file of the source ``table``, and the names of its columns."""

    file: UserPath
    """A CSV, TSV, JSONL or Parquet file with a row for each image."""
    image: str = "image"
    """Column of the image files: absolute paths, or paths in ``data.root``."""
    target: Annotated[tuple[str, ...], BeforeValidator(listed)] = Field(
        default=("label",), min_length=1
    )
    """Column of the class, a name or a whole number; for now one column alone."""
    split: str | None = None
    """Column that says ``train``, ``validation`` or ``test``; absent: ``split`` where the table
    has it, else the splits are drawn."""
    weight: str | None = None
    """Column of each sample's weight in the cross-entropy of trainings; absent: all count alike."""

    @field_validator("target")
    @classmethod
    def _one_column(cls, columns: tuple[str, ...]) -> tuple[str, ...]:
        if len(columns) > 1:
            raise ValueError(
                f"one class a row can be learnt for now; name one column, not {len(columns)} "
                f"({', '.join(columns)})"
            )
        return columns
