"""Which domain samples are of, on its way: splits, views, feeds, processes."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from kdsearch.data import Dataset, Scale, Split, Views, make_feed, pack, unpack
from kdsearch.data.images.spilled import spilled
from tests.pictures import pictured

SCALES = {"image": Scale((0.5, 0.4, 0.3), (0.2, 0.3, 0.1))}
INDEX = torch.tensor([3, 30, 3, 8])


def of_domains(split: Split) -> Split:
    """Every third sample is of the target domain."""
    return replace(split, domain=torch.arange(len(split)) % 3 == 0)


def test_the_domain_stays_with_its_samples(make_split: Callable[..., Split]) -> None:
    split = of_domains(make_split())
    for found in (split.take(INDEX), split.to("cpu").read(INDEX), spilled(split).take(INDEX)):
        assert found.domain is not None
        assert found.domain.tolist() == [True, True, True, False]
    known = split.targets_at(INDEX).domain
    assert known is not None
    assert torch.equal(known, INDEX % 3 == 0)
    assert make_split().take(INDEX).domain is None


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("in_a_file", [False, True])
def test_every_feed_hands_out_the_domain(
    make_split: Callable[..., Split],
    mapped: Callable[[Split], Split],
    in_a_file: bool,
    workers: int,
) -> None:
    plain = make_split()
    split = of_domains(mapped(plain) if in_a_file else plain)
    feed = make_feed(split, SCALES, None, 4, "cpu", workers)
    ((_, targets),) = map(pictured, feed.batches([INDEX], 6))
    feed.close()
    assert targets["label"].domain is not None
    assert targets["label"].domain.tolist() == [True, True, True, False]
    _, targets = pictured(Views(plain, SCALES, None, 4).batch(INDEX, 6))
    assert targets["label"].domain is None


def test_both_domains_survive_the_way_between_processes(small_dataset: Dataset) -> None:
    own = replace(
        small_dataset,
        train=of_domains(small_dataset.train),
        source_test=small_dataset.test.take(torch.tensor([1, 0])),
    )
    back = unpack(pickle.loads(pickle.dumps(pack(own))))
    assert back.train.domain is not None
    assert back.train.domain.tolist() == [number % 3 == 0 for number in range(20)]
    assert back.source_test is not None
    assert torch.equal(back.source_test.images, small_dataset.test.images[[1, 0]])
    assert back.fingerprint == replace(back).fingerprint == own.fingerprint
    plain = unpack(pack(small_dataset))
    assert (plain.train.domain, plain.source_test) == (None, None)


def test_domains_and_the_source_test_are_part_of_the_fingerprint(small_dataset: Dataset) -> None:
    data = small_dataset
    marked = replace(data, train=of_domains(data.train))
    other = replace(data, train=replace(data.train, domain=torch.arange(20) < 3))
    tested = replace(marked, source_test=data.test)
    assert len({each.fingerprint for each in (data, marked, other, tested)}) == 4
