"""Teachers, and a Ray of the tests' own."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import ray
import torch

from kdsearch.data import Dataset
from kdsearch.models import build_network
from kdsearch.spec.concrete import ModelConfig
from kdsearch.training.teacher import Teacher
from tests.training.own_networks import MARKER

ROOT = Path(__file__).parents[2]


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


@pytest.fixture(scope="module")
def private_ray(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Two workers that know the networks of the tests, and a file where one that dies says so."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(MARKER, str(tmp_path_factory.mktemp("marker") / "killed"))
        patch.setenv("PYTHONPATH", str(ROOT), prepend=os.pathsep)
        ray.init(
            address="local",
            num_cpus=2,
            include_dashboard=False,
            log_to_driver=False,
            logging_level="error",
        )
        yield
        ray.shutdown()
