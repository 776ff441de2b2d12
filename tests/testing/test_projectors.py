"""Helpers that change nothing."""

from __future__ import annotations

import torch
from torch import nn

from kdsearch.testing import identity_projectors


def test_square_layers_and_normalisations_become_the_identity_in_eval_mode() -> None:
    layers = nn.Sequential(
        nn.Conv2d(3, 3, kernel_size=1),
        nn.BatchNorm2d(3),
        nn.Conv2d(3, 3, kernel_size=1, bias=False),
        nn.Flatten(),
        nn.Linear(12, 12),
        nn.BatchNorm1d(12),
    )
    layers.double()(torch.randn(8, 3, 2, 2, dtype=torch.float64))  # moves the batch statistics
    identity_projectors(layers.eval())
    values = torch.randn(5, 3, 2, 2, dtype=torch.float64)
    torch.testing.assert_close(layers(values), values.flatten(1), rtol=1e-12, atol=0)
    assert all(parameter.requires_grad for parameter in layers.parameters())


def test_layers_of_other_shapes_are_left() -> None:
    layers = nn.ModuleList(
        [nn.Conv2d(3, 3, kernel_size=3), nn.Conv2d(4, 4, 1, groups=2), nn.Linear(3, 5)]
    )
    before = [parameter.clone() for parameter in layers.parameters()]
    identity_projectors(layers)
    assert all(torch.equal(old, new) for old, new in zip(before, layers.parameters(), strict=True))
