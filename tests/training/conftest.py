"""What the tests of fine-tuning begin with: a file of weights, and tasks that begin with it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from kdsearch.data import Dataset
from kdsearch.models import build_network
from kdsearch.models.weights import save_weights
from kdsearch.models.weights.sources import with_known_weights
from kdsearch.spec.concrete import ModelConfig
from kdsearch.training.task import Task

STUDENT = {"family": "convnet", "width": 0.5, "depth": 3}


@pytest.fixture(scope="module")
def weights(digits: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of weights, with batch statistics of their own."""
    torch.manual_seed(11)
    network = build_network(ModelConfig(**STUDENT), digits.inputs, 10)
    with torch.no_grad():
        for _ in range(10):
            network(torch.randn(32, 1, 8, 8))
    file = tmp_path_factory.mktemp("weights") / "before.safetensors"
    save_weights(network, file)
    return file


@pytest.fixture
def make_tuned(make_task: Callable[..., Task], weights: Path) -> Callable[..., Task]:
    """``make_tuned({"freeze": 1}, label="kd", ema=0.9)``: a task that begins with the file."""

    def make(tuning: dict[str, Any] | None, label: str = "none", **training: Any) -> Task:
        given = {"clip_grad_norm": None, "precision": "float32", "fine_tuning": tuning} | training
        task = make_task(label, model=STUDENT | {"weights": str(weights)}, **given)
        return task.model_copy(update={"model": with_known_weights(task.model)})

    return make
