"""How evenly samples lie in classes, and what is told of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from kdsearch.data import Dataset, Split
from kdsearch.data.balance import balance_warnings, class_balance, data_warnings
from kdsearch.data.sources.inventory import NO_IMAGE, ClassFiles, Inventory, Skipped
from kdsearch.problems import Head


@pytest.mark.parametrize(
    ("counts", "uneven"),
    [
        ([50, 50], False),
        ([79, 21], False),
        ([80, 20], True),
        ([96, 4], True),
        ([50, 13, 12, 25], False),
        ([51, 13, 12, 24], True),
    ],
)
def test_what_counts_as_uneven(counts: list[int], uneven: bool) -> None:
    labels = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    split = Split.of_classes(torch.zeros(len(labels), 1, 2, 2, dtype=torch.uint8), labels)
    balance = class_balance(split, Head(names=tuple("abcd")[: len(counts)]))
    assert (balance.largest, balance.uneven) == ("a", uneven)
    assert balance.share == pytest.approx(counts[0] / sum(counts))


def test_what_is_told(small_dataset: Dataset, make_split: Callable[..., Split]) -> None:
    assert data_warnings(small_dataset) == []
    split = small_dataset.validation
    labels = torch.full_like(split.labels, 1)
    one_sided = replace(small_dataset, validation=Split.of_classes(split.images, labels))
    (told,) = balance_warnings(one_sided)
    assert told.startswith("'b' has 100% of the validation samples (an even share is 25%)")
    skipped = (Skipped(".txt", NO_IMAGE, 3),)
    inventory = Inventory(("",), (ClassFiles("a", {"": 7}, skipped),), (), {})
    first, second = data_warnings(replace(one_sided, inventory=inventory))
    assert first.startswith("3 of 10 files under data.root are left out")
    assert second == told
