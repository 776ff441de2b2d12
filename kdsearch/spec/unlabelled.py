"""``data.unlabelled``: a pool of samples without targets."""

from __future__ import annotations

from pydantic import model_validator

from kdsearch.spec.base import Section
from kdsearch.spec.values import UserPath


class UnlabelledTable(Section):
    """``data.unlabelled.table``: the file of a pool; its numbers are in the columns of
    ``data.table``."""

    file: UserPath
    """A CSV, TSV, JSONL or Parquet file with a row for each sample."""
    image: str | None = None
    """Column of the image files. Absent: that of ``data.table``, else ``image``."""


class UnlabelledSection(Section):
    """``data.unlabelled``: samples without targets, which join the training split."""

    root: UserPath | None = None
    """Folder of images, in any order of folders or none. Beside ``table``: the folder in which its
    paths begin. Absent: the table's folder."""
    table: UnlabelledTable | None = None
    """A table in place of a folder. Absent: all images in ``root``."""

    @model_validator(mode="after")
    def _some(self) -> UnlabelledSection:
        if self.root is None and self.table is None:
            raise ValueError("names no samples; set root to a folder of images, or table.file")
        return self
