"""Statistics against NumPy, refusals, and what the fingerprint depends on."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from kdsearch.data.column import parts
from kdsearch.data.dataset import Dataset, Split, check_split, scales_of
from kdsearch.errors import DataError
from kdsearch.problems import Head, Problem

MakeSplit = Callable[..., Split]


def renamed(dataset: Dataset, *names: str) -> Dataset:
    return replace(dataset, problem=Problem.of_classes(names))


def test_statistics_equal_numpy(make_split: MakeSplit) -> None:
    split = make_split()
    pixels = split.images.numpy().astype(np.float64) / 255
    scale = scales_of(split)["image"]
    assert scale.mean == pytest.approx(pixels.mean(axis=(0, 2, 3)), abs=1e-12)
    assert scale.std == pytest.approx(pixels.std(axis=(0, 2, 3)), abs=1e-12)


@pytest.mark.parametrize("limit", [1, 3 * 9 * 11, 5 * 3 * 9 * 11, 1 << 26])
def test_parts_are_the_images_in_order(
    make_split: MakeSplit, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    split = make_split()
    whole = scales_of(split)
    monkeypatch.setattr("kdsearch.data.column._PART_BYTES", limit)
    found = list(parts(split.images))
    assert all(len(part) == max(limit // (3 * 9 * 11), 1) for part in found[:-1]) or len(found) == 1
    assert torch.equal(torch.cat(found), split.images)
    assert scales_of(split) == whole


def test_a_constant_channel_can_still_be_divided_by() -> None:
    plain = torch.full((3, 1, 4, 4), 51, dtype=torch.uint8)
    split = Split.of_classes(plain, torch.zeros(3, dtype=torch.int64))
    scale = scales_of(split)["image"]
    assert scale.mean == pytest.approx((0.2,))
    assert scale.std[0] > 0


@pytest.mark.parametrize(
    ("images", "labels", "sentence"),
    [
        (torch.zeros(2, 1, 4, 4), torch.zeros(2, dtype=torch.int64), "must be images, uint8"),
        (torch.zeros(2, 4, 4, dtype=torch.uint8), torch.zeros(2).long(), r"\[N, C, H, W\]"),
        (torch.zeros(2, 1, 4, 4).byte(), torch.zeros(3).long(), "2 samples and 3 labels"),
        (torch.zeros(0, 1, 4, 4).byte(), torch.zeros(0).long(), "at least one sample"),
        (torch.zeros(2, 1, 4, 4).byte(), torch.tensor([0, 2]), "from 0 to 2, outside 0 to 1"),
        (torch.zeros(2, 1, 4, 4).byte(), torch.tensor([-2, 1]), "from -2 to 1, outside 0 to 1"),
    ],
)
def test_check_split_refuses(images: torch.Tensor, labels: torch.Tensor, sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        check_split(Split.of_classes(images, labels), (Head(names=("a", "b")),), "here")


def test_fingerprint_sees_every_split_and_the_names(small_dataset: Dataset) -> None:
    prints = {small_dataset.fingerprint}
    for name in ("train", "validation", "test"):
        split = getattr(small_dataset, name)
        images, labels = split.images.clone(), split.labels.clone()
        images[-1, -1, -1, -1] ^= 1
        labels[0] += 1
        prints.add(
            replace(small_dataset, **{name: replace(split, inputs={"image": images})}).fingerprint
        )
        changed = Split.of_classes(split.images, labels)
        prints.add(replace(small_dataset, **{name: changed}).fingerprint)
    prints.add(renamed(small_dataset, "a", "b", "c", "x").fingerprint)
    assert len(prints) == 8


def test_fingerprint_is_the_hash_of_names_shapes_images_and_labels(
    small_dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kdsearch.data.column._PART_BYTES", 1000)
    said = b'["small", ["a", "b", "c", "d"]]'
    for name in ("train", "validation", "test"):
        split = getattr(small_dataset, name)
        said += repr(tuple(split.images.shape)).encode()
        said += split.images.numpy().tobytes() + split.labels.numpy().tobytes()
    assert small_dataset.fingerprint == hashlib.sha256(said).hexdigest()


def test_fingerprint_does_not_depend_on_memory_layout(small_dataset: Dataset) -> None:
    train = small_dataset.train
    strided = train.images.to(memory_format=torch.channels_last)
    assert not strided.is_contiguous()
    other = replace(small_dataset, train=replace(train, inputs={"image": strided}))
    assert other.fingerprint == small_dataset.fingerprint
