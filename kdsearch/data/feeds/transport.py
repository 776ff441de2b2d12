"""A data set as plain values and NumPy arrays, to be shared between processes.

An object store hands arrays out without copying them, and read-only: the inputs are held once
for all the workers of a machine, and no worker may write to them. Images that are mapped from a
file travel as its name and their rows, and are mapped again.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from kdsearch.data.arrays import as_tensor
from kdsearch.data.column import Column
from kdsearch.data.dataset import Dataset, Split
from kdsearch.data.images.mapped import MappedImages

_SPLITS = ("train", "validation", "test")


def pack(dataset: Dataset) -> dict[str, Any]:
    """The data set as NumPy arrays and plain values, its fingerprint among them."""
    packed: dict[str, Any] = {
        "name": dataset.name,
        "scales": dict(dataset.scales),
        "problem": dataset.problem,
        "fingerprint": dataset.fingerprint,
    }
    for name in _SPLITS:
        split: Split = getattr(dataset, name)
        packed[f"{name}_inputs"] = {key: _packed(each) for key, each in split.inputs.items()}
        packed[f"{name}_targets"] = {
            task: np.ascontiguousarray(each.numpy()) for task, each in split.targets.items()
        }
        if split.weights is not None:
            packed[f"{name}_weights"] = np.ascontiguousarray(split.weights.numpy())
    return packed


def unpack(packed: dict[str, Any]) -> Dataset:
    """The data set over the packed arrays' own memory: nothing is copied or hashed again.

    Its tensors may be over read-only memory; writing to them would end the process.

    Raises:
        DataError: Mapped images whose file is not on this machine.
    """
    splits = {name: _split(packed, name) for name in _SPLITS}
    dataset = Dataset(
        name=packed["name"],
        scales=packed["scales"],
        train=splits["train"],
        validation=splits["validation"],
        test=splits["test"],
        problem=packed["problem"],
    )
    # Fills the cached property, which would otherwise hash every input in every worker.
    dataset.__dict__["fingerprint"] = packed["fingerprint"]
    return dataset


def _split(packed: dict[str, Any], name: str) -> Split:
    targets = {task: as_tensor(each) for task, each in packed[f"{name}_targets"].items()}
    weights = packed.get(f"{name}_weights")
    inputs = {key: _column(each) for key, each in packed[f"{name}_inputs"].items()}
    return Split(inputs, targets, None if weights is None else as_tensor(weights))


def _packed(column: Column) -> np.ndarray | dict[str, Any]:
    if isinstance(column, MappedImages):
        # The name is made absolute because the other process may run in another directory.
        return {"file": str(column.file.resolve()), "rows": column.rows.numpy()}
    return np.ascontiguousarray(column.numpy())


def _column(packed: np.ndarray | dict[str, Any]) -> Column:
    if isinstance(packed, np.ndarray):
        return as_tensor(packed)
    mapped = MappedImages(Path(packed["file"]), as_tensor(packed["rows"]))
    _ = mapped.shape  # maps the file, so that one that is not here is found out now
    return mapped
