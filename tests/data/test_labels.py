"""``data.labels``: which training samples keep their targets, and that nothing else changes."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from kdsearch.data import Dataset, RawData, load_dataset
from kdsearch.errors import DataError
from kdsearch.problems import Head, Problem
from kdsearch.spec.sections import DataSection

COUNTS = (200, 90, 6, 4)
"""Samples of four classes, of which the last is rare."""

HEADS = (
    Head("kind", "class", named=True),
    Head("tags", "labels", named=True),
    Head("age", "value", named=True),
)


def raw(gone: int = 0) -> RawData:
    """Images that hold their number, of which the last ones may have no targets."""
    places = np.arange(sum(COUNTS))
    images = np.zeros((len(places), 8, 8), np.uint8)
    images[:, 0, 0], images[:, 0, 1] = np.divmod(places, 256)
    without = places >= len(places) - gone
    targets = {
        "kind": np.where(without, -1, np.repeat(np.arange(4), COUNTS)),
        "tags": np.where(without[:, None], np.nan, np.stack([places % 2, places % 3 == 0], 1)),
        "age": np.where(without, np.nan, places / 7),
    }
    return RawData(images, targets)


def load(heads: tuple[Head, ...] = (Head(),), gone: int = 0, **settings: Any) -> Dataset:
    section = DataSection(source=f"{__name__}:raw", options={"gone": gone}, **settings)
    return load_dataset(section, Problem(heads=heads))


def known(data: Dataset) -> Any:
    return data.problem.known(data.train.targets)


@pytest.mark.parametrize("labels", [0.25, 60])
def test_they_are_drawn_class_by_class_at_least_one_of_each(labels: float) -> None:
    whole, few = load(), load(labels=labels)
    total = len(whole.train)
    count = round(0.25 * total) if labels < 1 else 60
    kept = few.train.labels[known(few)]
    assert len(kept) == count
    of_all, of_few = Counter(whole.train.labels.tolist()), Counter(kept.tolist())
    assert set(of_few) == {0, 1, 2, 3}
    for label, there in of_all.items():
        fair = count * there / total
        assert abs(of_few[label] - fair) < 1 or (fair < 1 and of_few[label] == 1)
    least = load(labels=4)
    assert sorted(least.train.labels[known(least)].tolist()) == [0, 1, 2, 3]


def test_images_validation_test_and_scales_are_as_without() -> None:
    whole, few = load(HEADS), load(HEADS, labels=40)
    assert torch.equal(whole.train.images, few.train.images)
    for one, other in ((whole.validation, few.validation), (whole.test, few.test)):
        assert torch.equal(one.images, other.images)
        assert all(torch.equal(one.targets[name], other.targets[name]) for name in one.targets)
    assert whole.scales == few.scales
    assert whole.fingerprint != few.fingerprint


def test_a_sample_keeps_all_its_targets_or_none() -> None:
    whole, few = load(HEADS), load(HEADS, labels=40)
    kept = known(few)
    assert int(kept.sum()) == 40
    for name, targets in few.train.targets.items():
        assert torch.equal(targets[kept], whole.train.targets[name][kept])
    assert bool((few.train.targets["kind"][~kept] == -1).all())
    assert bool(few.train.targets["tags"][~kept].isnan().all())
    assert bool(few.train.targets["age"][~kept].isnan().all())
    assert all(head.gaps for head in few.problem.heads)
    ages = few.train.targets["age"][kept].double()
    (age,) = (head for head in few.problem.heads if head.name == "age")
    assert (age.mean, age.std) == pytest.approx((float(ages.mean()), float(ages.std(correction=0))))


def test_the_draw_is_a_pure_function_of_the_seed() -> None:
    one, same, other = (load(labels=40, seed=seed) for seed in (1, 1, 2))
    assert one.fingerprint == same.fingerprint
    assert not torch.equal(known(one), known(other))


def test_samples_without_targets_are_not_counted() -> None:
    whole, few = load(gone=60), load(gone=60, labels=0.5)
    assert int(known(few).sum()) == round(0.5 * int(known(whole).sum()))
    assert bool((known(whole) | ~known(few)).all())


@pytest.mark.parametrize(
    ("labels", "told"),
    [
        (3, "data.labels keeps 3 of 216 targets; with 4 classes it must keep at least 4, one a"),
        (0.001, "data.labels keeps 0 of 216 targets; with 4 classes it must keep at least 4"),
        (217, "data.labels is 217, and 216 training samples have a target; lower it, or leave it"),
    ],
)
def test_too_few_and_too_many_are_refused(labels: float, told: str) -> None:
    with pytest.raises(DataError, match=told):
        load(labels=labels)


@pytest.mark.parametrize("labels", [0, -1, 1.5, True, "100", float("nan"), float("inf")])
def test_what_is_neither_a_share_nor_a_number_is_refused(labels: Any) -> None:
    with pytest.raises(ValidationError, match="share"):
        DataSection(source="digits", labels=labels)
    assert DataSection(source="digits", labels=1e2).labels == 100
