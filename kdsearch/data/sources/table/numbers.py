"""The numbers of a table's rows, as one input of each sample."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kdsearch.data.sources.table.columns import Columns
from kdsearch.data.sources.table.targets import LARGEST, number_of
from kdsearch.spec.wording import brief


def read_numbers(read: Columns, columns: Sequence[str]) -> np.ndarray:
    """Some columns as numbers: float64 [N, D].

    Raises:
        DataError: A cell is empty or no finite number.
    """
    found = np.empty((len(read.numbers), len(columns)))
    for place, column in enumerate(columns):
        found[:, place] = _numbers(read, column)
    return found


def _numbers(read: Columns, column: str) -> np.ndarray:
    """A column as numbers [N]; whole ones are tried at once, which is much faster."""
    cells = read.cells[column]
    try:
        found = np.array(cells, dtype=np.str_).astype(np.float64)
        sound = bool((np.abs(found) <= LARGEST).all())  # nor NaN
        if sound and not any("_" in cell for cell in cells):
            return found
    except ValueError:
        pass
    faults = read.faults()
    found = np.array([number_of(cell) for cell in cells])
    for place in np.flatnonzero(~(np.abs(found) <= LARGEST)).tolist():
        number, cell = read.numbers[place], cells[place]
        if not cell:
            what = f"'{brief(column)}' is empty"
            faults.add(number, what, "fill the cell, and say so in a column of 0 and 1")
        else:
            what = f"'{brief(cell)}' in '{brief(column)}' is no finite number"
            faults.add(number, what, "write a category as columns of 0 and 1, one for each")
    faults.refuse()
    return found
