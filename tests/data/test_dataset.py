"""Statistics against NumPy, refusals, and what the fingerprint depends on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from kdsearch.data.dataset import Dataset, Split, channel_statistics, check_split
from kdsearch.errors import DataError

MakeSplit = Callable[..., Split]


def test_statistics_equal_numpy(make_split: MakeSplit) -> None:
    images = make_split().images
    pixels = images.numpy().astype(np.float64) / 255
    mean, std = channel_statistics(images)
    assert mean == pytest.approx(pixels.mean(axis=(0, 2, 3)), abs=1e-12)
    assert std == pytest.approx(pixels.std(axis=(0, 2, 3)), abs=1e-12)


def test_a_constant_channel_can_still_be_divided_by() -> None:
    mean, std = channel_statistics(torch.full((3, 1, 4, 4), 51, dtype=torch.uint8))
    assert mean == pytest.approx((0.2,))
    assert std[0] > 0


@pytest.mark.parametrize(
    ("images", "labels", "sentence"),
    [
        (torch.zeros(2, 1, 4, 4), torch.zeros(2, dtype=torch.int64), "must be uint8"),
        (torch.zeros(2, 4, 4, dtype=torch.uint8), torch.zeros(2).long(), r"\[N, C, H, W\]"),
        (torch.zeros(2, 1, 4, 4).byte(), torch.zeros(3).long(), "2 pictures and 3 labels"),
        (torch.zeros(0, 1, 4, 4).byte(), torch.zeros(0).long(), "at least one picture"),
        (torch.zeros(2, 1, 4, 4).byte(), torch.tensor([0, 2]), "from 0 to 2, outside 0 to 1"),
        (torch.zeros(2, 1, 4, 4).byte(), torch.tensor([-1, 1]), "from -1 to 1, outside 0 to 1"),
    ],
)
def test_check_split_refuses(images: torch.Tensor, labels: torch.Tensor, sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        check_split(Split(images, labels), 2, "here")


def test_fingerprint_sees_every_split_and_the_names(small_dataset: Dataset) -> None:
    prints = {small_dataset.fingerprint}
    for name in ("train", "validation", "test"):
        split = getattr(small_dataset, name)
        images, labels = split.images.clone(), split.labels.clone()
        images[-1, -1, -1, -1] ^= 1
        labels[0] += 1
        prints.add(replace(small_dataset, **{name: replace(split, images=images)}).fingerprint)
        prints.add(replace(small_dataset, **{name: replace(split, labels=labels)}).fingerprint)
    prints.add(replace(small_dataset, classes=("a", "b", "c", "x")).fingerprint)
    assert len(prints) == 8


def test_fingerprint_does_not_depend_on_memory_layout(small_dataset: Dataset) -> None:
    train = small_dataset.train
    strided = train.images.to(memory_format=torch.channels_last)
    assert not strided.is_contiguous()
    other = replace(small_dataset, train=replace(train, images=strided))
    assert other.fingerprint == small_dataset.fingerprint
