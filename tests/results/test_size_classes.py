"""Classes of size against the finalists, one by one."""

from __future__ import annotations

import pytest

from kdsearch.results.size_classes import SizeClass, size_classes
from tests.results.test_pick import STUDY, content, row


def test_each_power_of_ten_has_the_pick_among_those_that_keep_it() -> None:
    found = size_classes(STUDY)
    assert [(each.bound, each.pick.row["trial"]) for each in found] == [
        (100, 1),  # 100 parameters are at most 100
        (1_000, 2),
        (10_000, 3),  # within one standard error of the best, which has 9,000
    ]


def test_a_class_may_have_the_pick_of_the_one_below() -> None:
    found = size_classes(content(row(1, 50, 0.9), row(2, 20_000, 0.8)))
    assert [each.pick.row["trial"] for each in found] == [1, 1, 1, 1]
    assert [each.bound for each in found] == [100, 1_000, 10_000, 100_000]


def test_only_judged_finalists_count() -> None:
    assert size_classes(content(row(1, 50, None))) == []
    found = size_classes(content(row(1, 50, None), row(2, 5_000, 0.8)))
    assert [(each.bound, each.pick.row["trial"]) for each in found] == [(10_000, 2)]


@pytest.mark.parametrize(
    ("size", "bound", "alias"),
    [
        ("parameters", 100, "up-to-100"),
        ("parameters", 10_000, "up-to-10k"),
        ("parameters", 10**7, "up-to-10M"),
        ("macs", 10**9, "up-to-1G-macs"),
        ("bytes", 10_000, "up-to-10kB"),
        ("latency", 100, "up-to-100us"),
        ("latency", 10_000, "up-to-10ms"),
    ],
)
def test_a_class_has_a_name_that_mlflow_takes(size: str, bound: int, alias: str) -> None:
    (first, *_) = size_classes(STUDY)
    assert SizeClass(size, bound, first.pick).alias == alias
