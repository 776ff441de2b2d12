"""A data set as plain values and NumPy arrays, to be shared between processes.

An object store hands arrays out without copying them, and read-only: the pictures are held once
for all the workers of a machine, and no worker may write to them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from kdsearch.data.arrays import as_tensor
from kdsearch.data.dataset import Dataset, Split

_SPLITS = ("train", "validation", "test")


def pack(dataset: Dataset) -> dict[str, Any]:
    """The data set as NumPy arrays and plain values, its fingerprint among them."""
    packed: dict[str, Any] = {
        "name": dataset.name,
        "classes": dataset.classes,
        "mean": dataset.mean,
        "std": dataset.std,
        "fingerprint": dataset.fingerprint,
    }
    for name in _SPLITS:
        split: Split = getattr(dataset, name)
        packed[f"{name}_images"] = np.ascontiguousarray(split.images.numpy())
        packed[f"{name}_labels"] = np.ascontiguousarray(split.labels.numpy())
    return packed


def unpack(packed: dict[str, Any]) -> Dataset:
    """The data set over the packed arrays' own memory: nothing is copied or hashed again.

    Its tensors may be over read-only memory; writing to them would end the process.
    """
    splits = {
        name: Split(as_tensor(packed[f"{name}_images"]), as_tensor(packed[f"{name}_labels"]))
        for name in _SPLITS
    }
    dataset = Dataset(
        name=packed["name"],
        classes=packed["classes"],
        mean=packed["mean"],
        std=packed["std"],
        **splits,
    )
    # Fills the cached property, which would otherwise hash every picture in every worker.
    dataset.__dict__["fingerprint"] = packed["fingerprint"]
    return dataset
