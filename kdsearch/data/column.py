"""One input of all samples of a split, in memory or in a file."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from kdsearch.data.images.mapped import MappedImages
from kdsearch.errors import DataError

Column = Tensor | MappedImages
"""uint8 images [N, C, H, W], in memory or mapped from a file, or float64 numbers [N, D]."""

_PART_BYTES = 1 << 26
"""What is read at a time where a whole column is gone through."""


def row_bytes(column: Column) -> int:
    """Bytes of one sample."""
    return column.shape[1:].numel() * column.dtype.itemsize


def rows_at(column: Column, index: Tensor) -> Tensor:
    """A copy of the rows at ``index`` [B], on the column's device."""
    return column[index] if isinstance(column, MappedImages) else column.index_select(0, index)


def taken(column: Column, index: Tensor) -> Column:
    """The column of the samples at ``index`` [M]; mapped images stay where they are."""
    return column.take(index) if isinstance(column, MappedImages) else column[index]


def joined(first: Column, second: Column, where: str) -> Column:
    """The rows of one column, and behind them those of another of the same shape.

    Raises:
        DataError: One is mapped from a file, and the other in memory or in another file.
    """
    if isinstance(first, Tensor) and isinstance(second, Tensor):
        return torch.cat([first, second])
    files = {each.file for each in (first, second) if isinstance(each, MappedImages)}
    if isinstance(first, MappedImages) and isinstance(second, MappedImages) and len(files) == 1:
        return MappedImages(first.file, torch.cat([first.rows, second.rows]))
    raise DataError(
        f"{where}: the unlabelled images must be where the others are; give both as arrays, or "
        "both mapped from one file"
    )


def parts(column: Column) -> Iterator[Tensor]:
    """All rows in order, some 64 MB at a time; those in memory are not copied."""
    step = max(_PART_BYTES // max(row_bytes(column), 1), 1)
    for start in range(0, len(column), step):
        yield column[start : start + step]
