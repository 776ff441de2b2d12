"""Samples with several inputs: images beside numbers, and numbers alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from kdsearch.data import Dataset, RawData, Scale, Split, Views, load_dataset, make_feed
from kdsearch.data.dataset import check_split, scales_of
from kdsearch.data.feeds.transport import pack, unpack
from kdsearch.errors import DataError
from kdsearch.models import Input
from kdsearch.problems import Head, Problem
from kdsearch.spec.sections import Augmentation, DataSection

MakeSplit = Callable[..., Split]
Mapped = Callable[[Split], Split]

SCALES = {"image": Scale((0.5, 0.4, 0.3), (0.2, 0.3, 0.1)), "age": Scale((40.0, 1.0), (8.0, 2.0))}
INDEX = torch.tensor([8, 1, 30, 8])


def with_ages(split: Split) -> Split:
    generator = np.random.default_rng(len(split))
    ages = torch.from_numpy(generator.normal(40, 9, (len(split), 2)))
    return replace(split, inputs={**split.inputs, "age": ages})


def of_ages(split: Split) -> Split:
    return replace(split, inputs={"age": with_ages(split).inputs["age"]})


def standardised(ages: Tensor) -> np.ndarray:
    return (ages.numpy() - np.array([40, 1])) / np.array([8, 2])


def test_each_input_is_seen_in_its_own_way(make_split: MakeSplit) -> None:
    split = with_ages(make_split())
    batch = Views(split, SCALES, Augmentation(crop=2, flip=True), 4).batch(INDEX, 3)
    alone = Views(make_split(), SCALES, Augmentation(crop=2, flip=True), 4).batch(INDEX, 3)
    assert list(batch.inputs) == ["image", "age"]
    assert torch.equal(batch.inputs["image"], alone.inputs["image"])
    expected = standardised(split.inputs["age"][INDEX])
    np.testing.assert_allclose(batch.inputs["age"].numpy(), expected, rtol=1e-5, atol=1e-6)
    assert (len(batch), batch.epoch) == (4, 3)
    assert torch.equal(batch.index, INDEX)


@pytest.mark.parametrize("change", [{"mixup": 0.4}, {"cutmix": 1.0}, {"mixup": 0.4, "cutmix": 1.0}])
def test_mixed_numbers_have_the_share_of_the_labels(
    make_split: MakeSplit, change: dict[str, float]
) -> None:
    split = with_ages(make_split())
    batch = Views(split, SCALES, Augmentation(**change), 4).batch(INDEX, 3)
    targets = batch.targets["label"]
    assert targets.share is not None
    assert targets.partner is not None
    share, ages = targets.share.numpy()[:, None], standardised(split.inputs["age"])
    found = batch.inputs["age"].numpy()
    for row, own in enumerate(INDEX.tolist()):  # the partner is not told: the one that fits
        blends = share[row] * ages[own] + (1 - share[row]) * ages
        gaps = np.abs(blends - found[row]).max(axis=1)
        assert gaps.min() < 1e-5
        assert split.labels[int(gaps.argmin())] == targets.partner[row]


def test_mixup_needs_no_images(make_split: MakeSplit) -> None:
    both, alone = with_ages(make_split()), of_ages(make_split())
    mixup = Augmentation(mixup=0.4)
    found = Views(alone, SCALES, mixup, 4).batch(INDEX, 3).inputs["age"]
    assert torch.equal(found, Views(both, SCALES, mixup, 4).batch(INDEX, 3).inputs["age"])


@pytest.mark.parametrize("workers", [0, 2])
def test_readers_give_the_same_bits(make_split: MakeSplit, mapped: Mapped, workers: int) -> None:
    change = Augmentation(crop=2, flip=True, mixup=0.4)
    views = Views(with_ages(make_split()), SCALES, change, 4)
    parts = torch.arange(37).split(8)
    feed = make_feed(with_ages(mapped(make_split())), SCALES, change, 4, "cpu", workers)
    for batch, index in zip(feed.batches(parts, 5), parts, strict=True):
        expected = views.batch(index, 5)
        for name in ("image", "age"):
            assert torch.equal(batch.inputs[name], expected.inputs[name])
        assert torch.equal(batch.targets["label"].labels, expected.targets["label"].labels)
    feed.close()


def test_scales_are_those_of_numpy(make_split: MakeSplit) -> None:
    split = with_ages(make_split())
    ages = split.inputs["age"].numpy()
    scale = scales_of(split)["age"]
    np.testing.assert_allclose(scale.mean, ages.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(scale.std, ages.std(axis=0), rtol=1e-12)
    assert scales_of(split)["image"] == scales_of(make_split())["image"]
    constant = replace(split, inputs={"age": torch.full((37, 1), 0.1, dtype=torch.float64)})
    assert scales_of(constant)["age"].std == (1.0,)


def made(make_split: MakeSplit, change: Callable[[Split], Split] = with_ages) -> Dataset:
    splits = [change(make_split(count)) for count in (20, 9, 11)]
    return Dataset("small", *splits, SCALES, problem=Problem.of_classes("abcd"))


def test_a_data_set_travels_and_tells_its_inputs(make_split: MakeSplit) -> None:
    dataset = made(make_split)
    back = unpack(pack(dataset))
    assert back.inputs == dataset.inputs
    assert dataset.inputs == {"image": Input("image", (3, 9, 11)), "age": Input("numbers", (2,))}
    assert dataset.told_inputs == "image 3×9×11, age 2 numbers"
    assert torch.equal(back.test.inputs["age"], dataset.test.inputs["age"])
    assert replace(back).fingerprint == dataset.fingerprint


def test_every_number_and_name_counts_in_the_fingerprint(make_split: MakeSplit) -> None:
    dataset = made(make_split)
    other = dataset.test.inputs["age"].clone()
    other[3, 1] += 1e-3
    test = replace(dataset.test, inputs={**dataset.test.inputs, "age": other})
    renamed = made(make_split, lambda split: replace(split, inputs={"ages": split.images}))
    prints = {each.fingerprint for each in (dataset, replace(dataset, test=test), renamed)}
    prints.add(made(make_split, of_ages).fingerprint)
    prints.add(made(make_split, lambda split: split).fingerprint)
    assert len(prints) == 5


def test_samples_are_taken_with_all_their_inputs(make_split: MakeSplit, mapped: Mapped) -> None:
    split = with_ages(mapped(make_split()))
    for some in (split.take(INDEX), split.read(INDEX)):
        assert torch.equal(some.images[:], make_split().images[INDEX])
        assert torch.equal(some.inputs["age"], split.inputs["age"][INDEX])
    assert split.nbytes == 37 * (3 * 9 * 11 + 2 * 8)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"crop": 2}, r"data\.augment\.crop changes images, and there are none; remove it"),
        ({"cutmix": 1.0}, r"data\.augment\.cutmix changes images, and there are none"),
    ],
)
def test_images_that_are_not_there_cannot_be_changed(
    make_split: MakeSplit, change: dict[str, Any], told: str
) -> None:
    with pytest.raises(DataError, match=told):
        Views(of_ages(make_split()), SCALES, Augmentation(**change), 4)


def test_one_box_fits_images_of_one_size_alone(make_split: MakeSplit) -> None:
    split = make_split()
    two = replace(split, inputs={"near": split.images, "far": split.images[:, :, :7]})
    scales = dict.fromkeys(two.inputs, SCALES["image"])
    assert len(Views(two, scales, Augmentation(mixup=0.2), 4).batch(INDEX, 0).inputs) == 2
    with pytest.raises(DataError, match=r"data\.augment\.cutmix pastes one box into all images"):
        Views(two, scales, Augmentation(cutmix=1), 4)


def test_several_images_are_changed_by_the_same_draws(make_split: MakeSplit) -> None:
    split = make_split()
    twice = replace(split, inputs={"left": split.images, "right": split.images})
    scales = dict.fromkeys(twice.inputs, SCALES["image"])
    change = Augmentation(crop=3, flip=True, cutout=3, cutmix=1)
    found = Views(twice, scales, change, 4).batch(INDEX, 2).inputs
    assert torch.equal(found["left"], found["right"])


def load(monkeypatch: pytest.MonkeyPatch, raw: Any) -> Dataset:
    monkeypatch.setattr("kdsearch.data.sources.custom._find", lambda _: lambda: raw)
    return load_dataset(DataSection(source="mine:load"))


PIXELS = np.random.default_rng(0).integers(0, 256, (60, 6, 6), dtype=np.uint8)
LABELS = np.arange(60) % 3


def test_a_source_of_ones_own_gives_several(monkeypatch: pytest.MonkeyPatch) -> None:
    ages = np.arange(60) / 7
    dataset = load(monkeypatch, RawData({"image": PIXELS, "age": ages}, LABELS))
    assert dataset.inputs == {"image": Input("image", (1, 6, 6)), "age": Input("numbers", (1,))}
    for split in (dataset.train, dataset.validation, dataset.test):
        places = (split.inputs["age"][:, 0] * 7).round().long()  # type: ignore[index]
        assert torch.equal(split.images[:, 0], torch.from_numpy(PIXELS)[places])
        assert torch.equal(split.labels, torch.from_numpy(LABELS)[places])
    assert dataset.scales["age"] == scales_of(dataset.train)["age"]


@pytest.mark.parametrize(
    ("inputs", "told"),
    [
        ({}, "has no inputs; give at least one"),
        ({"image": PIXELS, "age": np.arange(59)}, "60 samples of the first input and 59 of 'age'"),
        ({"age": np.arange(59)}, "59 samples and 60 labels"),
        ({"age": np.where(LABELS == 1, np.nan, 1.0)}, "the numbers 'age' must be finite"),
        ({"age": np.array(["1"] * 60)}, r"the numbers 'age' must be \[N\] or \[N, D\]"),
        ({"picture": PIXELS.astype(float)}, "the images 'picture' must be uint8 from 0 to 255"),
        ({"age": np.arange(0)}, "holds no samples; give at least one"),
        ({"age": np.zeros((60, 0))}, r"must be \[N\] or \[N, D\]"),
        ({"age": [[1, 2], [3]] * 30}, "the numbers 'age' have several sizes"),
        ({1: np.arange(60)}, "an input is called 1; give each a name, as text"),
        ({" ": np.arange(60)}, "an input is called ' '"),
        (np.zeros((60, 4)), r"numbers \[N, D\] are given by a name"),
    ],
)
def test_what_is_no_input_is_told(
    monkeypatch: pytest.MonkeyPatch, inputs: dict[str, Any], told: str
) -> None:
    with pytest.raises(DataError, match=told):
        load(monkeypatch, RawData(inputs, LABELS))


def test_splits_have_the_same_inputs(monkeypatch: pytest.MonkeyPatch) -> None:
    both = {"image": PIXELS, "age": np.arange(60)}
    with pytest.raises(DataError, match="the training inputs image, age and the test inputs image"):
        load(monkeypatch, RawData(both, LABELS, {"image": PIXELS}, LABELS))
    swapped = dict(reversed(both.items()))
    dataset = load(monkeypatch, RawData(both, LABELS, swapped, LABELS))
    assert list(dataset.test.inputs) == ["image", "age"]
    wide = {**both, "age": np.zeros((60, 2))}
    with pytest.raises(DataError, match=r"training numbers 'age' of \[1\] and test .* of \[2\]"):
        load(monkeypatch, RawData(both, LABELS, wide, LABELS))


def test_what_is_neither_image_nor_numbers_is_refused() -> None:
    split = Split({"sound": torch.zeros(2, 3, 4)}, {"label": torch.tensor([0, 1])})
    with pytest.raises(DataError, match="'sound' must be images, uint8"):
        check_split(split, (Head(names=("a", "b")),), "here")


@pytest.mark.parametrize("offset", [0, 2.4e8, 2.4e11, 1.7e9 * 1e6])
def test_large_numbers_are_told_apart(monkeypatch: pytest.MonkeyPatch, offset: float) -> None:
    """Such as times, which float32 would merge."""
    drawn = np.random.default_rng(1).normal(0, 500, 60)
    raw = RawData({"time": offset + drawn}, LABELS, {"time": offset + drawn}, LABELS)
    dataset = load(monkeypatch, raw)
    views = Views(dataset.train, dataset.scales, None, 0)
    found = views.inputs(torch.arange(len(views)), 0)["time"].double().numpy()
    given = dataset.train.inputs["time"][:].numpy() - offset
    np.testing.assert_allclose(found, (given - given.mean()) / given.std(), atol=2e-3)
    assert found.std() == pytest.approx(1, abs=1e-3)


def test_tensors_of_any_kind_are_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    ages = torch.arange(60) / 8
    for given in (ages, ages.bfloat16(), ages.clone().requires_grad_(), (ages > 3), ages.double()):
        dataset = load(monkeypatch, RawData({"age": given}, torch.from_numpy(LABELS)))
        whole = torch.cat([each.inputs["age"][:] for each in (dataset.train, dataset.test)])
        assert set(whole.flatten().tolist()) <= set(given.detach().double().tolist())


def test_a_split_of_its_own_is_whole_before_any_is_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    raw = RawData(PIXELS, LABELS, validation_images=PIXELS[:40], validation_labels=LABELS[:50])
    monkeypatch.setattr("kdsearch.data.sources.custom._find", lambda _: lambda: raw)
    with pytest.raises(DataError, match="validation data: 40 samples and 50 labels"):
        load_dataset(DataSection(source="mine:load", limit=30))


@pytest.mark.parametrize("workers", [None, 0, 1])
def test_what_nobody_wants_is_not_computed_and_changes_nothing(
    make_split: MakeSplit, mapped: Mapped, workers: int | None
) -> None:
    change = Augmentation(crop=2, mixup=0.4, cutmix=1)
    whole = Views(with_ages(make_split()), SCALES, change, 4).batch(INDEX, 3)
    split = with_ages(make_split() if workers is None else mapped(make_split()))
    for name in ("image", "age"):
        feed = make_feed(split, SCALES, change, 4, "cpu", workers or 0, {name})
        (batch,) = feed.batches([INDEX], 3)
        feed.close()
        assert list(batch.inputs) == [name]
        assert torch.equal(batch.inputs[name], whole.inputs[name])
        share = batch.targets["label"].share
        assert share is not None
        assert torch.equal(share, whole.targets["label"].share)  # type: ignore[arg-type]
