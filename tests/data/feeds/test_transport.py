"""A data set survives the way between processes, without copies."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch

from kdsearch.data import Dataset, pack, unpack

SPLITS = ("train", "validation", "test")


@pytest.fixture
def every_warning() -> Iterator[None]:
    """Lets torch warn each time, where it would warn once a process, and makes it an error."""
    torch.set_warn_always(True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield
    torch.set_warn_always(False)


def test_round_trip_keeps_everything(small_dataset: Dataset) -> None:
    back = unpack(pickle.loads(pickle.dumps(pack(small_dataset))))
    for name in SPLITS:
        assert torch.equal(getattr(back, name).images, getattr(small_dataset, name).images)
        assert torch.equal(getattr(back, name).labels, getattr(small_dataset, name).labels)
    for name in ("name", "classes", "scales", "inputs"):
        assert getattr(back, name) == getattr(small_dataset, name)


def test_the_packed_fingerprint_equals_a_fresh_one(small_dataset: Dataset) -> None:
    back = unpack(pack(small_dataset))
    # A replaced data set starts without the cached value, so this one is hashed anew.
    assert back.fingerprint == replace(back).fingerprint == small_dataset.fingerprint


def test_unpack_does_not_hash_again(small_dataset: Dataset) -> None:
    packed = pack(small_dataset)
    packed["fingerprint"] = "as packed"
    assert unpack(packed).fingerprint == "as packed"


def test_unpack_does_not_copy(small_dataset: Dataset) -> None:
    packed = pack(small_dataset)
    back = unpack(packed)
    for name in SPLITS:
        split = getattr(back, name)
        assert split.images.data_ptr() == packed[f"{name}_inputs"]["image"].ctypes.data
        assert split.labels.data_ptr() == packed[f"{name}_targets"]["label"].ctypes.data


@pytest.mark.usefixtures("every_warning")
def test_read_only_arrays_unpack_without_a_warning(small_dataset: Dataset) -> None:
    packed = pack(small_dataset)
    for name in SPLITS:
        for value in (*packed[f"{name}_inputs"].values(), *packed[f"{name}_targets"].values()):
            value.flags.writeable = False
    assert unpack(packed).fingerprint == small_dataset.fingerprint


@pytest.mark.usefixtures("every_warning")
def test_the_warning_is_silenced_in_that_one_place_alone(small_dataset: Dataset) -> None:
    unpack(pack(small_dataset))
    array = np.zeros(3)
    array.flags.writeable = False
    with pytest.raises(UserWarning, match="not writable"):
        torch.from_numpy(array)


def test_arrays_are_contiguous_so_that_a_store_can_share_them(small_dataset: Dataset) -> None:
    train = small_dataset.train
    strided = replace(train, inputs={"image": train.images.to(memory_format=torch.channels_last)})
    packed = pack(replace(small_dataset, train=strided))
    assert packed["train_inputs"]["image"].flags.c_contiguous
    assert unpack(packed).fingerprint == small_dataset.fingerprint
