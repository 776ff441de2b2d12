"""The hash against plain Python integers, and its numbers against their distributions."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare, kstest

from kdsearch.data.views.random_streams import (
    EpochBits,
    balanced_order,
    derive,
    epoch_order,
    further_bits,
    randint,
    random_bits,
    splitmix64,
    unit,
)

WORD = (1 << 64) - 1
INT64 = st.integers(-(2**63), 2**63 - 1)


def reference_splitmix64(x: int) -> int:
    """Steele, Lea & Flood 2014, figure 17 with the published constants, on 64-bit words."""
    z = (x + 0x9E3779B97F4A7C15) & WORD
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & WORD
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & WORD
    return z ^ (z >> 31)


@given(st.lists(INT64, min_size=1, max_size=20))
def test_splitmix64_equals_integer_arithmetic(values: list[int]) -> None:
    hashed = splitmix64(torch.tensor(values)).tolist()
    assert [value & WORD for value in hashed] == [reference_splitmix64(v & WORD) for v in values]


def test_splitmix64_gives_the_published_sequence_of_seed_zero() -> None:
    # The first outputs of the generator seeded with 0, as its reference C code prints them.
    published = [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]
    states = [(step * 0x9E3779B97F4A7C15) & WORD for step in range(3)]
    signed = [state - (1 << 64) if state >> 63 else state for state in states]
    assert [value & WORD for value in splitmix64(torch.tensor(signed)).tolist()] == published


@given(st.integers(0, 2**63 - 1), st.integers(0, 10**6), st.integers(-1, 10), INT64)
def test_random_bits_equal_integer_arithmetic(seed: int, epoch: int, draw: int, index: int) -> None:
    key = (derive(seed, epoch, draw) * 0x9E3779B97F4A7C15) & WORD
    expected = reference_splitmix64(reference_splitmix64(index & WORD) ^ key) >> 1
    assert random_bits(seed, epoch, torch.tensor([index]), draw).item() == expected


@given(st.lists(st.integers(0, 2**63 - 1), min_size=1, max_size=4), st.integers(1, 12))
def test_further_bits_equal_integer_arithmetic(bits: list[int], count: int) -> None:
    steps = [0x9E3779B97F4A7C15 * number for number in range(count)]
    expected = [[reference_splitmix64((one + step) & WORD) >> 1 for step in steps] for one in bits]
    assert further_bits(torch.tensor(bits), count).tolist() == expected


def test_further_bits_are_independent() -> None:
    further = further_bits(random_bits(3, 1, torch.arange(40_000), 2), 3) % 8
    for one, other in ((0, 1), (0, 2), (1, 2)):
        pairs = further[:, one] * 8 + further[:, other]
        assert chisquare(torch.bincount(pairs, minlength=64).numpy()).pvalue > 1e-3


def test_unit_numbers_are_uniform_below_one() -> None:
    numbers = unit(random_bits(3, 1, torch.arange(40_000), 2)).numpy()
    assert kstest(numbers, "uniform").pvalue > 1e-3
    assert unit(torch.tensor([0, 1 << 39, 2**63 - 1])).tolist() == [0.0, 2.0**-24, 1 - 2.0**-24]


@given(st.integers(0, 2**63 - 1), st.text(), st.text())
def test_derive_is_a_repeatable_31_bit_seed(seed: int, first: str, second: str) -> None:
    value = derive(seed, first)
    assert 0 <= value < 2**31
    assert value == derive(seed, first)
    assert (value == derive(seed, second)) == (first == second)


@pytest.mark.parametrize("draw", [0, 3])
@pytest.mark.parametrize("high", [2, 9, 10])
def test_randint_is_uniform(high: int, draw: int) -> None:
    counts = torch.bincount(randint(11, 5, torch.arange(90_000), draw, high), minlength=high)
    assert len(counts) == high
    assert chisquare(counts.numpy()).pvalue > 1e-3


@pytest.mark.parametrize("size", [1, 37, 70_000])
def test_bits_of_an_epoch_are_those_of_its_samples(size: int) -> None:
    bits = EpochBits(6, size, torch.device("cpu"))
    index = torch.tensor([size - 1, 0, size // 2, 0])
    for epoch, draw in ((0, 0), (0, 4), (3, 4), (0, 4)):
        assert torch.equal(bits(epoch, index, draw), random_bits(6, epoch, index, draw))


@pytest.mark.parametrize("other", [(8, 1, 0), (7, 2, 0), (7, 1, 1)], ids=["seed", "epoch", "draw"])
def test_streams_are_independent(other: tuple[int, int, int]) -> None:
    index = torch.arange(40_000)
    seed, epoch, draw = other
    pairs = randint(7, 1, index, 0, 8) * 8 + randint(seed, epoch, index, draw, 8)
    assert chisquare(torch.bincount(pairs, minlength=64).numpy()).pvalue > 1e-3


@given(st.integers(0, 2**62), st.integers(0, 1000), st.integers(1, 300))
def test_epoch_order_visits_each_sample_once(seed: int, epoch: int, size: int) -> None:
    order = epoch_order(seed, epoch, size)
    assert sorted(order.tolist()) == list(range(size))
    assert torch.equal(order, epoch_order(seed, epoch, size))


@pytest.mark.parametrize("seed", [0, 2**31 - 1])
def test_a_balanced_order_is_that_of_the_hash_in_plain_integers(seed: int) -> None:
    labels = torch.tensor([4, 1, 4, 4, 1, 4, 4, 4])  # and none of 0, 2 and 3
    places = torch.arange(8)
    classes = random_bits(seed, 5, places, draw=-2).tolist()
    samples = random_bits(seed, 5, places, draw=-3).tolist()
    members = {1: [1, 4], 4: [0, 2, 3, 5, 6, 7]}
    expected = []
    for drawn, sample in zip(classes, samples, strict=True):
        one = members[[1, 4][drawn % 2]]
        expected.append(one[sample % len(one)])
    assert balanced_order(seed, 5, labels).tolist() == expected


def test_epoch_order_changes_from_epoch_to_epoch() -> None:
    orders = np.stack([epoch_order(0, epoch, 1000).numpy() for epoch in range(20)])
    fixed = (orders[:, None] == orders[None]).sum(axis=2)[~np.eye(20, dtype=bool)]
    # Two random orders agree in one place on average.
    assert fixed.mean() == pytest.approx(1.0, abs=0.3)
