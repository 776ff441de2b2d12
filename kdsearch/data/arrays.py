"""Arrays out of what a user's source returned, and tensors over their memory."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch
from torch import Tensor

from kdsearch.errors import DataError, described


def as_tensor(array: np.ndarray) -> Tensor:
    """A tensor over the array's own memory, which may be read-only: never write to it."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(array)


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
