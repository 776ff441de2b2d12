"""``data.table``: a file with a row for each sample."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from kdsearch.spec.base import Section
from kdsearch.spec.values import Flag, UserPath, each_once, listed

_Columns = Annotated[
    tuple[str, ...],
    BeforeValidator(listed),
    AfterValidator(each_once("column")),
    Field(min_length=1),
]


class TableSection(Section):
    """``data.table``: the file of the source ``table``, and the names of its columns."""

    file: UserPath
    """A CSV, TSV, JSONL or Parquet file with a row for each sample."""
    image: str | None = "image"
    """Column of the image files: absolute paths, or paths in ``data.root``. ``null``: no images."""
    numbers: _Columns | None = None
    """Columns of numbers. Together they are the input ``numbers``, beside the image or alone.
    Absent: none."""
    target: _Columns | None = None
    """Columns of the targets. With several they are the names of ``problem.tasks``. A class is a
    name or a whole number; labels are names with ``;`` between them; a value is a number. Absent:
    the names of ``problem.tasks``, else ``label``."""
    split: str | None = None
    """Column that says ``train``, ``validation`` or ``test``. Absent: the column ``split`` where
    there is one, else the splits are drawn."""
    unlabelled: Flag = False
    """Whether training rows may lack every target. Distillation learns from them all the same. An
    empty cell of labels in such a row says that they are not known; ``;`` says that none
    applies."""
    weight: str | None = None
    """Column of each sample's weight in the cross-entropy of trainings. Absent: all count alike."""

    @model_validator(mode="after")
    def _some_input(self) -> TableSection:
        if self.image is None and self.numbers is None:
            raise ValueError("no column is an input; name image, numbers or both")
        return self
