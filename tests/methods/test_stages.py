import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from kdsearch.methods.stages import match_deepest, match_relative, pool_to_common


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
