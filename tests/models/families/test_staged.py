"""Strides on small images, and the first weights of convolutions."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from kdsearch.models.families.staged import (
    conv,
    conv_bn_relu,
    initialise_convolutions,
    usable_strides,
)


@pytest.mark.parametrize(
    ("shape", "wanted", "usable"),
    [
        ((3, 32, 32), (2, 2, 2, 2), (2, 2, 2, 2)),  # 16, 8, 4, 2
        ((3, 32, 32), (2, 2, 2, 2, 2), (2, 2, 2, 2, 1)),
        ((1, 28, 28), (2, 2, 2, 2), (2, 2, 2, 2)),  # 14, 7, 4, 2
        ((1, 8, 8), (1, 2, 2, 2), (1, 2, 2, 1)),  # 8, 4, 2, 2
        ((1, 2, 64), (2, 1, 2), (1, 1, 1)),  # the shorter side decides
        ((1, 3, 3), (2, 2), (2, 1)),  # 2, 2
    ],
)
def test_strides_stop_at_two_by_two(
    shape: tuple[int, int, int], wanted: tuple[int, ...], usable: tuple[int, ...]
) -> None:
    assert usable_strides(shape, wanted) == usable
    maps = torch.zeros(1, *shape)
    for stride in usable:
        maps = conv(maps.shape[1], 4, 3, stride)(maps)
    assert min(maps.shape[2:]) >= 2


def test_convolutions_start_from_he_normal_by_fan_out() -> None:
    torch.manual_seed(0)
    layers = nn.Sequential(nn.Conv2d(64, 128, 3), *conv_bn_relu(128, 64, 1))
    initialise_convolutions(layers)
    first, second = layers[0], layers[1]
    assert isinstance(first, nn.Conv2d)
    assert isinstance(second, nn.Conv2d)
    assert first.weight.std().item() == pytest.approx(math.sqrt(2 / (128 * 9)), rel=0.02)
    assert second.weight.std().item() == pytest.approx(math.sqrt(2 / 64), rel=0.02)
    assert first.bias is not None
    assert first.bias.abs().max() == 0
