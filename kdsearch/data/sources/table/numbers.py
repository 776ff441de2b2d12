"""The numbers of a table's rows, as one input of each sample."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kdsearch.data.sources.table.columns import Columns
from kdsearch.data.sources.table.targets import number_of
from kdsearch.spec.wording import brief

_LARGEST = float(np.finfo(np.float32).max)


def read_numbers(read: Columns, columns: Sequence[str]) -> np.ndarray:
    """Some columns as numbers: float64 [N, D].

    Raises:
        DataError: A cell is empty or no finite number.
    """
    faults = read.faults()
    found = np.empty((len(read.numbers), len(columns)))
    for place, column in enumerate(columns):
        for row, (number, cell) in enumerate(zip(read.numbers, read.cells[column], strict=True)):
            found[row, place] = number_of(cell)
            if not cell:
                what = f"'{brief(column)}' is empty"
                faults.add(number, what, "fill the cell, and say so in a column of 0 and 1")
            elif not abs(found[row, place]) <= _LARGEST:  # nor NaN
                what = f"'{brief(cell)}' in '{brief(column)}' is no finite number"
                faults.add(number, what, "write a category as columns of 0 and 1, one for each")
    faults.refuse()
    return found
