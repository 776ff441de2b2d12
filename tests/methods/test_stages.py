import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from kdsearch.methods.stages import (
    halving_sum,
    match_deepest,
    match_relative,
    no_positions,
    pool_to_common,
)
from kdsearch.models.signals import SignalShapes
from tests.methods.maps import map_stages


def test_stages_are_matched_from_the_deepest():
    assert match_deepest("abc", "wxyz") == [("a", "x"), ("b", "y"), ("c", "z")]
    assert match_deepest("abcd", "yz") == [("c", "y"), ("d", "z")]
    assert match_deepest("", "yz") == []


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_networks_of_one_depth_match_stage_for_stage(count):
    for stage in range(1, count + 1):
        assert match_relative(stage, count, count) == (stage, stage)


@pytest.mark.parametrize(
    ("stage", "student", "teacher", "expected"),
    [
        (2, 1, 3, (1, 2)),
        (3, 2, 3, (2, 3)),
        (2, 2, 4, (1, 2)),
        (3, 2, 4, (2, 3)),
        (2, 4, 2, (2, 1)),
        (1, 1, 4, (1, 1)),
        (4, 1, 4, (1, 4)),
        (2, 3, 4, (2, 2)),
    ],
)
def test_the_shorter_network_answers_at_the_same_relative_depth(stage, student, teacher, expected):
    assert match_relative(stage, student, teacher) == expected


@pytest.mark.parametrize(
    ("one", "other", "common"),
    [
        ((8, 8), (4, 4), (4, 4)),
        ((5, 7), (3, 4), (3, 4)),
        ((8, 2), (4, 4), (4, 2)),
        ((3, 3), (1, 1), (1, 1)),
    ],
)
@pytest.mark.parametrize("lead", [(2,), (2, 3)])
def test_the_larger_map_is_average_pooled_to_the_smaller(lead, one, other, common):
    a = torch.randn(*lead, *one, dtype=torch.float64)
    b = torch.randn(*lead, *other, dtype=torch.float64)
    for pooled, given in zip(pool_to_common(a, b), (a, b), strict=True):
        torch.testing.assert_close(pooled, F.adaptive_avg_pool2d(given, common))


def test_pooling_by_two_is_the_mean_of_each_block():
    a = torch.arange(16.0).reshape(1, 4, 4)
    pooled, _ = pool_to_common(a, torch.zeros(1, 2, 2))
    assert pooled.tolist() == [[[2.5, 4.5], [10.5, 12.5]]]


def test_each_shallower_stage_weighs_half_of_the_next():
    losses = [torch.tensor(value, dtype=torch.float64) for value in (3.0, 5.0, 7.0)]
    assert halving_sum(losses).item() == 3 / 4 + 5 / 2 + 7
    assert halving_sum(losses[:1]).item() == 3


@pytest.mark.parametrize(
    ("student", "teacher", "compares"),
    [
        (((4, 1, 1),), ((8, 4, 4),), False),
        (((4, 8, 8), (4, 1, 1)), ((8, 4, 4),), False),
        (((4, 8, 8), (4, 1, 1)), ((8, 4, 4), (8, 2, 2)), True),
        (((4, 1, 2),), ((8, 4, 4),), True),
        (((4, 1, 2),), ((8, 2, 1),), False),
    ],
)
def test_positions_are_those_left_when_a_matched_pair_is_pooled(student, teacher, compares):
    stages = (map_stages(*maps) for maps in (student, teacher))
    shapes = [SignalShapes(classes=2, embedding=4, features=each) for each in stages]
    reason = no_positions(*shapes, "where things are")
    assert reason == (
        None
        if compares
        else "it compares where things are, and no matched pair of stages has maps larger than 1×1"
    )
