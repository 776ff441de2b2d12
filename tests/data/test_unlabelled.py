"""Samples without any target: which split they may be in, and how many of them are kept."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch

from kdsearch.data import Dataset, RawData, Split, load_dataset
from kdsearch.errors import DataError
from kdsearch.problems import Head, Problem
from kdsearch.spec.sections import DataSection

SAMPLES, LABELLED = 400, 120
CLASS = Head("kind", "class", named=True)
LABELS = Head("tags", "labels", named=True)
VALUE = Head("age", "value", named=True)


def targets() -> dict[str, np.ndarray]:
    """Every target of the samples whose number is small; of the others none."""
    places = np.arange(SAMPLES)
    gone = places >= LABELLED
    return {
        "kind": np.where(gone, -1, places % 3),
        "tags": np.where(gone[:, None], np.nan, np.stack([places % 2, places % 5 == 0], axis=1)),
        "age": np.where(gone, np.nan, places / 10),
    }


def pixels() -> np.ndarray:
    """Images that hold their number."""
    found = np.zeros((SAMPLES, 8, 8), np.uint8)
    found[:, 0, 0], found[:, 0, 1] = np.divmod(np.arange(SAMPLES), 256)
    return np.random.default_rng(0).permutation(found)


def numbers(split: Split) -> list[int]:
    """Which samples a split has."""
    return (split.images[:, 0, 0, 0].int() * 256 + split.images[:, 0, 0, 1]).tolist()


def load(name: str = "kind", heads: Any = (), **settings: Any) -> Dataset:
    section = DataSection(source=f"{__name__}:raw", options={"name": name}, **settings)
    return load_dataset(section, Problem(heads=tuple(heads) or (Head(),)))


def raw(name: str, own: str = "", broken: bool = False, weigh: bool = False) -> RawData:
    """The samples in a random order; of some, those that become a split of their own."""
    images = pixels()
    place = images[:, 0, 0].astype(int) * 256 + images[:, 0, 1]
    found = {key: each[place] for key, each in targets().items()}
    given: Any = found if name == "all" else found[name]
    rest: dict[str, Any] = {}
    if own:
        index = np.flatnonzero(place < 30)[:20]
        if broken:
            index = np.append(index, np.flatnonzero(place >= LABELLED)[:2])
        rest = {f"{own}_images": images[index], f"{own}_labels": given[index]}
    if weigh:
        rest["train_weights"] = (place >= LABELLED).astype(float)
    return RawData(images, given, **rest)


@pytest.mark.parametrize(
    ("name", "heads"),
    [
        ("kind", [Head()]),
        ("kind", [CLASS]),
        ("tags", [LABELS]),
        ("age", [VALUE]),
        ("all", [CLASS, LABELS, VALUE]),
    ],
    ids=["unnamed", "class", "labels", "value", "several"],
)
def test_validation_and_test_are_drawn_of_the_samples_with_a_target(
    name: str, heads: list[Head]
) -> None:
    data = load(name, heads, validation=0.25, test=0.2)
    assert len(data.test) == round(0.2 * LABELLED)
    assert len(data.validation) == round(0.25 * (LABELLED - len(data.test)))
    splits = [numbers(each) for each in (data.train, data.validation, data.test)]
    assert sorted(number for split in splits for number in split) == list(range(SAMPLES))
    assert all(number < LABELLED for number in splits[1] + splits[2])
    assert set(range(LABELLED, SAMPLES)) <= set(splits[0])
    assert all(head.gaps for head in data.problem.heads)
    known = data.problem.known(data.train.targets)
    assert known.tolist() == [number < LABELLED for number in splits[0]]
    for head in heads:
        expected = targets()["kind" if head.name == "label" else head.name][splits[0]]
        np.testing.assert_allclose(data.train.targets[head.name].numpy(), expected, rtol=1e-6)


def test_classes_keep_their_shares_and_unlabelled_samples_are_of_none() -> None:
    data = load(validation=0.25, test=0.2)
    for split, each in ((data.validation, 8), (data.test, 8)):
        assert Counter(split.labels.tolist()) == {0: each, 1: each, 2: each}
    assert Counter(data.train.labels.tolist()) == {-1: SAMPLES - LABELLED, 0: 24, 1: 24, 2: 24}


def test_the_spread_of_values_is_of_those_that_are_there() -> None:
    data = load("age", [VALUE])
    known = data.train.targets["age"].numpy()
    known = known[~np.isnan(known)]
    (head,) = data.problem.heads
    assert (head.mean, head.std) == pytest.approx((known.mean(), known.std()), rel=1e-5)


def test_a_limit_keeps_the_same_share_of_both() -> None:
    whole = load(test=0.25)
    labelled, others = 90, SAMPLES - LABELLED
    data = load(test=0.25, validation=0.2, limit=200)
    assert numbers(data.test) == numbers(whole.test)
    known = int(data.problem.known(data.train.targets).sum())
    kept = round(200 * labelled / (labelled + others))
    assert known + len(data.validation) == kept
    assert len(data.validation) == round(0.2 * kept)
    assert len(data.train) + len(data.validation) == 200
    few = load(test=0.25, limit=10)  # of each class one to train and one to validate
    assert len(few.train) + len(few.validation) == 10
    assert int(few.problem.known(few.train.targets).sum()) + len(few.validation) == 6
    most = load(test=0.25, limit=10_000)
    assert len(most.train) + len(most.validation) == labelled + others
    with pytest.raises(DataError, match=r"data\.limit is 5; with 3 classes it must be at least 6"):
        load(test=0.25, limit=5)


def test_draws_are_pure_functions_of_the_seed() -> None:
    one, same, other = (load(limit=100, seed=seed) for seed in (3, 3, 4))
    assert one.fingerprint == same.fingerprint
    assert numbers(one.train) != numbers(other.train)


@pytest.mark.parametrize("own", ["validation", "test"])
def test_a_split_of_the_sources_own_needs_targets(own: str) -> None:
    load_dataset(DataSection(source=f"{__name__}:raw", options={"name": "kind", "own": own}))
    options = {"name": "kind", "own": own, "broken": True}
    with pytest.raises(DataError) as told:
        load_dataset(DataSection(source=f"{__name__}:raw", options=options))
    assert str(told.value) == (
        f"{__name__}:raw's {own} data: 2 samples have no target, the first at place 20, and no "
        "metric can judge by it; put such samples into the training data, or leave them out"
    )


def test_a_limit_counts_the_sources_own_validation_too() -> None:
    section = DataSection(
        source=f"{__name__}:raw", options={"name": "kind", "own": "validation"}, limit=60
    )
    data = load_dataset(section)
    pool = 0.8 * LABELLED + SAMPLES - LABELLED  # without the test
    expected = round(60 * pool / (pool + 20))
    assert len(data.train) == expected
    known = int(data.problem.known(data.train.targets).sum())
    assert known == round(expected * 0.8 * LABELLED / pool)


def test_weights_that_are_0_wherever_there_is_a_target_are_refused() -> None:
    options = {"name": "kind", "weigh": True}
    with pytest.raises(DataError, match="all training samples have the weight 0"):
        load_dataset(DataSection(source=f"{__name__}:raw", options=options))


def test_a_sample_with_one_of_two_targets_may_be_in_any_split() -> None:
    split = Split(
        torch.zeros(4, 1, 8, 8, dtype=torch.uint8),
        {"kind": torch.tensor([0, -1, -1, 1]), "age": torch.tensor([1.0, 2.0, torch.nan, 4.0])},
    )
    heads = (Head("kind", names=("a", "b")), VALUE)
    assert Problem(heads=heads).known(split.targets).tolist() == [True, True, False, True]


def test_too_low_classes_are_still_refused() -> None:
    with pytest.raises(DataError, match="labels run from -2 to 1, outside 0 to 1"):
        load_dataset(DataSection(source=f"{__name__}:too_low"))


def too_low() -> RawData:
    return RawData(pixels(), np.arange(SAMPLES) % 4 - 2)
