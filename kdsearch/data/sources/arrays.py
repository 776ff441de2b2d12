"""Arrays out of what a user's source returned."""

from __future__ import annotations

from typing import Any

import numpy as np

from kdsearch.errors import DataError, described


def as_array(values: Any, what: str, one: str) -> np.ndarray:
    """An array of what may be a list of anything."""
    try:
        array = np.ascontiguousarray(values)
    except Exception as error:  # NumPy's own, and that of whatever is in the list
        shapes = _shapes(values)
        if len(shapes) > 1:
            told = " and ".join("×".join(map(str, shape)) or "a number" for shape in shapes[:2])
            raise DataError(
                f"{what} have several sizes ({told}); bring each {one} to one size"
            ) from error
        raise DataError(f"{what} are no array ({described(error)}); give a NumPy array") from error
    if array.dtype == object:
        raise DataError(f"{what} have several sizes or no numbers; bring each {one} to one size")
    return array


def _shapes(values: Any) -> list[tuple[int, ...]]:
    """The different shapes of the items of a list."""
    shapes: list[tuple[int, ...]] = []
    try:
        for value in values:
            shape = np.shape(value)
            if shape not in shapes:
                shapes.append(shape)
    except Exception:  # an item is ragged itself
        return []
    return shapes
