"""Splits by brute force: disjoint, complete, in proportion, repeatable."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from kdsearch.data.split import draw_limit, draw_share
from kdsearch.errors import DataError

COUNTS = st.lists(st.integers(3, 40), min_size=2, max_size=7)
SHARE = st.floats(0.01, 0.99)
SEED = st.integers(0, 2**63 - 1)


def labels_of(counts: list[int]) -> torch.Tensor:
    """Labels with so many samples of each class, in a jumbled but fixed order."""
    labels = [label for label, count in enumerate(counts) for _ in range(count)]
    return torch.tensor(labels)[torch.argsort(torch.arange(len(labels)) * 7919 % 1009, stable=True)]


def names_of(counts: list[int]) -> list[str]:
    return [f"class {label}" for label in range(len(counts))]


def count(labels: torch.Tensor, index: torch.Tensor) -> Counter:
    return Counter(labels[index].tolist())


@given(COUNTS, SHARE, SEED, st.integers(1, 2))
def test_share_is_disjoint_complete_and_leaves_no_class_out(
    counts: list[int], share: float, seed: int, keep: int
) -> None:
    labels = labels_of(counts)
    left, drawn = draw_share(labels, share, seed, names_of(counts), keep)
    assert sorted(left.tolist() + drawn.tolist()) == list(range(len(labels)))
    assert left.tolist() == sorted(left.tolist())
    assert drawn.tolist() == sorted(drawn.tolist())
    for label in range(len(counts)):
        assert count(labels, left)[label] >= keep
        assert count(labels, drawn)[label] >= 1


@given(COUNTS, st.floats(0.34, 0.6), SEED)
def test_share_is_exact_in_total_and_by_class(counts: list[int], share: float, seed: int) -> None:
    # With at least three samples a class and such a share, no bound moves a quota far.
    labels = labels_of(counts)
    _, drawn = draw_share(labels, share, seed, names_of(counts))
    assert len(drawn) == round(share * len(labels))
    for label, available in enumerate(counts):
        exact = available * len(drawn) / len(labels)
        assert abs(count(labels, drawn)[label] - exact) <= 1


@given(COUNTS, SEED, st.data())
def test_limit_is_exact_and_keeps_two_of_each_class(
    counts: list[int], seed: int, data: st.DataObject
) -> None:
    labels = labels_of(counts)
    limit = data.draw(st.integers(2 * len(counts), len(labels)))
    index = draw_limit(labels, limit, seed, names_of(counts))
    assert len(set(index.tolist())) == len(index) == limit
    assert all(count(labels, index)[label] >= 2 for label in range(len(counts)))


def test_limit_is_in_proportion() -> None:
    labels = labels_of([600, 300, 100])
    index = draw_limit(labels, 100, 5, names_of([600, 300, 100]))
    assert count(labels, index) == {0: 60, 1: 30, 2: 10}


def test_limit_above_the_samples_keeps_all() -> None:
    labels = labels_of([5, 6])
    assert draw_limit(labels, 1000, 0, ["a", "b"]).tolist() == list(range(11))


def test_draws_depend_on_the_seed_alone() -> None:
    labels = labels_of([50, 50])
    state = torch.random.get_rng_state()
    _, first = draw_share(labels, 0.3, 1, ["a", "b"])
    torch.manual_seed(99)
    assert torch.equal(first, draw_share(labels, 0.3, 1, ["a", "b"])[1])
    assert not torch.equal(first, draw_share(labels, 0.3, 2, ["a", "b"])[1])
    torch.random.set_rng_state(state)


def test_every_sample_is_drawn_equally_often() -> None:
    labels = labels_of([10, 10])
    times = torch.zeros(20)
    for seed in range(600):
        times[draw_share(labels, 0.3, seed, ["a", "b"])[1]] += 1
    # Each of 20 samples is drawn 180 times in the mean, with a standard deviation of 11.2.
    assert (times - 180).abs().max() < 4.5 * 11.2
    assert times.sum() == 600 * 6


@pytest.mark.parametrize(
    ("counts", "keep", "sentence"),
    [
        ([5, 1], 1, "class 'class 1' has 1 samples to split and needs 2"),
        ([2, 9], 2, "class 'class 0' has 2 samples to split and needs 3"),
        ([4, 0, 4], 1, "class 'class 1' has 0 samples"),
    ],
)
def test_a_class_too_small_is_named(counts: list[int], keep: int, sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        draw_share(labels_of(counts), 0.5, 0, names_of(counts), keep)


def test_a_limit_below_two_samples_a_class_is_refused() -> None:
    with pytest.raises(DataError, match=r"data\.limit is 5; with 3 classes .* at least 6"):
        draw_limit(labels_of([9, 9, 9]), 5, 0, ["a", "b", "c"])
