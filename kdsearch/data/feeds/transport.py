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


def pack(dataset: Dataset) -> dict[str, Any]:
    """The data set as NumPy arrays and plain values, its fingerprint among them."""
    packed: dict[str, Any] = {
        "name": dataset.name,
        "scales": dict(dataset.scales),
        "problem": dataset.problem,
        "fingerprint": dataset.fingerprint,
    }
    for name, split in dataset.splits.items():
        packed[f"{name}_inputs"] = {key: _packed(each) for key, each in split.inputs.items()}
        packed[f"{name}_targets"] = {
            task: np.ascontiguousarray(each.numpy()) for task, each in split.targets.items()
        }
        if split.weights is not None:
            packed[f"{name}_weights"] = np.ascontiguousarray(split.weights.numpy())
        if split.domain is not None:
            packed[f"{name}_domain"] = np.ascontiguousarray(split.domain.numpy())
    return packed


def unpack(packed: dict[str, Any]) -> Dataset:
    """The data set over the packed arrays' own memory: nothing is copied or hashed again.

    Its tensors may be over read-only memory; writing to them would end the process.

    Raises:
        DataError: Mapped images whose file is not on this machine.
    """
    dataset = Dataset(
        name=packed["name"],
        scales=packed["scales"],
        train=_split(packed, "train"),
        validation=_split(packed, "validation"),
        test=_split(packed, "test"),
        problem=packed["problem"],
        source_test=_split(packed, "source_test") if "source_test_inputs" in packed else None,
    )
    # Fills the cached property, which would otherwise hash every input in every worker.
    dataset.__dict__["fingerprint"] = packed["fingerprint"]
    return dataset


def _split(packed: dict[str, Any], name: str) -> Split:
    targets = {task: as_tensor(each) for task, each in packed[f"{name}_targets"].items()}
    weights, domain = packed.get(f"{name}_weights"), packed.get(f"{name}_domain")
    inputs = {key: _column(each) for key, each in packed[f"{name}_inputs"].items()}
    return Split(
        inputs,
        targets,
        None if weights is None else as_tensor(weights),
        None if domain is None else as_tensor(domain),
    )


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
