"""Average pooling against PyTorch's own."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch.utils.flop_counter import FlopCounterMode

from kdsearch.models.pooling import average_pool


@pytest.mark.parametrize("sides", [(8, 8), (4, 2), (1, 1), (7, 5), (3, 8), (5, 1)], ids=str)
@pytest.mark.parametrize("lead", [(2,), (2, 3)], ids=str)
def test_values_and_gradient_are_those_of_adaptive_pooling(
    lead: tuple[int, ...], sides: tuple[int, int]
) -> None:
    maps = torch.randn(*lead, 8, 8, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(*lead, *sides, dtype=torch.float64)
    pooled, expected = average_pool(maps, *sides), F.adaptive_avg_pool2d(maps, sides)
    torch.testing.assert_close(pooled, expected)
    (found,) = torch.autograd.grad((weight * pooled).sum(), maps)
    (known,) = torch.autograd.grad((weight * expected).sum(), maps)
    torch.testing.assert_close(found, known)


def test_a_map_of_that_size_is_returned_itself() -> None:
    maps = torch.randn(2, 3, 4, 5)
    assert average_pool(maps, 4, 5) is maps


@pytest.mark.parametrize("side", [4, 3])
def test_pooling_multiplies_nothing(side: int) -> None:
    """So it costs no MACs, and autocast leaves its precision alone."""
    maps = torch.randn(2, 3, 8, 8)
    with FlopCounterMode(display=False) as counter, torch.autocast("cpu", torch.bfloat16):
        pooled = average_pool(maps, side, side)
    assert counter.get_total_flops() == 0
    assert pooled.dtype == torch.float32
