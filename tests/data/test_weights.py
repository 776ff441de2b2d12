"""The weights of samples on their way: splits, views, feeds, processes, a short try."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from kdsearch.data import Dataset, Scale, Split, Views, make_feed, pack, unpack
from kdsearch.data.images.spilled import spilled
from kdsearch.data.views.mixing import mixup_partner
from kdsearch.data.views.random_streams import random_bits
from kdsearch.spec.sections import Augmentation
from kdsearch.training.few_steps import few_samples
from tests.pictures import pictured

MEAN, STD = (0.5, 0.4, 0.3), (0.2, 0.3, 0.1)
SCALES = {"image": Scale(MEAN, STD)}


def weighted(split: Split) -> Split:
    return replace(split, weights=torch.arange(len(split)) / 7)


def test_weights_stay_with_their_samples(make_split: Callable[..., Split]) -> None:
    split = weighted(make_split())
    index = torch.tensor([3, 30, 3])
    for found in (split.take(index), split.to("cpu").take(index), spilled(split).take(index)):
        assert found.weights is not None
        assert torch.equal(found.weights, index / 7)
    assert make_split().take(index).weights is None


@pytest.mark.parametrize("in_a_file", [False, True])
def test_every_feed_hands_out_the_weights(
    make_split: Callable[..., Split], mapped: Callable[[Split], Split], in_a_file: bool
) -> None:
    plain = make_split()
    split = weighted(mapped(plain) if in_a_file else plain)
    index = torch.tensor([8, 1, 30, 8])
    for mixup in (0.0, 0.4):
        feed = make_feed(split, SCALES, Augmentation(mixup=mixup), 4, "cpu", workers=0)
        ((_, targets),) = map(pictured, feed.batches([index], 6))
        feed.close()
        assert targets["label"].weights is not None
        assert torch.equal(targets["label"].weights, index / 7)
        if not mixup:
            assert targets["label"].partner_weights is None
            continue
        partner = mixup_partner(37, lambda draw: random_bits(4, 6, index, draw))
        assert targets["label"].partner_weights is not None
        assert torch.equal(targets["label"].partner_weights, partner / 7)
    _, targets = pictured(Views(plain, SCALES, None, 4).batch(index, 6))
    assert (targets["label"].weights, targets["label"].partner_weights) == (None, None)


def test_processes_that_read_leave_the_weights_to_the_training(
    make_split: Callable[..., Split], mapped: Callable[[Split], Split]
) -> None:
    split, index = weighted(mapped(make_split())), torch.tensor([8, 1, 30])
    feed = make_feed(split, SCALES, None, 4, "cpu", workers=1)
    ((_, targets),) = map(pictured, feed.batches([index], 0))
    feed.close()
    assert targets["label"].weights is not None
    assert torch.equal(targets["label"].weights, index / 7)


def test_weights_survive_the_way_between_processes(small_dataset: Dataset) -> None:
    packed = pack(replace(small_dataset, train=weighted(small_dataset.train)))
    back = unpack(packed)
    assert back.train.weights is not None
    assert back.train.weights.data_ptr() == packed["train_weights"].ctypes.data
    assert torch.equal(back.train.weights, torch.arange(20) / 7)
    assert back.validation.weights is None
    assert back.fingerprint == replace(back).fingerprint


def test_a_fingerprint_without_weights_is_what_it_was(small_dataset: Dataset) -> None:
    data = small_dataset
    digest = hashlib.sha256(json.dumps([data.name, data.classes]).encode())
    for split in (data.train, data.validation, data.test):
        digest.update(repr(tuple(split.images.shape)).encode())
        digest.update(np.asarray(split.images).tobytes())
        digest.update(np.asarray(split.labels).tobytes())
    assert data.fingerprint == digest.hexdigest()
    assert replace(data, train=weighted(data.train)).fingerprint != data.fingerprint


def test_the_few_samples_of_a_try_keep_their_weights(small_dataset: Dataset) -> None:
    data = replace(small_dataset, train=weighted(small_dataset.train))
    few = few_samples(data, 5).train
    assert few.weights is not None
    for place in range(5):
        number = round(float(few.weights[place] * 7))
        assert torch.equal(few.images[place], data.train.images[number])
