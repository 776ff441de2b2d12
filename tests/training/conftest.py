"""Teachers, and networks of a user's own."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from kdsearch.data import Dataset
from kdsearch.models import build_network
from kdsearch.spec.concrete import ModelConfig
from kdsearch.training.teacher import Teacher


@pytest.fixture
def make_teacher(digits: Dataset) -> Callable[[], Teacher]:
    """A new teacher at each call, always with the same weights and batch statistics."""

    def make() -> Teacher:
        torch.manual_seed(5)
        config = ModelConfig(family="convnet", width=1, depth=3)
        network = build_network(config, digits.image_shape, len(digits.classes))
        with torch.no_grad():
            for _ in range(20):
                network(torch.randn(32, *digits.image_shape))
        return Teacher(network)

    return make
