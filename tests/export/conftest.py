"""A trained student with the records of a study around it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from kdsearch.data import Dataset
from kdsearch.models import Network, build_network, measure
from kdsearch.search.finalists import Finalist
from kdsearch.search.record import TrialRecord, new_record
from kdsearch.spec.concrete import ModelConfig
from kdsearch.training.task import Task
from kdsearch.training.teacher import Teacher
from kdsearch.training.trainer import Trainer
from kdsearch.training.weights import save_weights


@dataclass(frozen=True)
class Trained:
    """A finalist, the network of its shipped training, and the file of its weights."""

    finalist: Finalist
    network: Network
    weights: Path


@pytest.fixture(scope="session")
def trained(
    digits: Dataset, make_task: Callable[..., Task], tmp_path_factory: pytest.TempPathFactory
) -> Trained:
    torch.manual_seed(0)
    shape, classes = digits.image_shape, len(digits.classes)
    teacher = Teacher(build_network(ModelConfig(family="convnet", depth=2), shape, classes))
    task = make_task("kd+fitnet", {"kd.temperature": 3.0}, augment={"crop": 1}, epochs=3)
    trainer = Trainer(task, digits, teacher)
    reports = []
    while not trainer.finished:
        reports.append(trainer.train_epoch().as_dict())
    scores = trainer.score_test()
    run = new_record(0, "finalists", task, measure(trainer.student)).model_copy(
        update={
            "status": "complete",
            "epochs": tuple(reports),
            "test": {"accuracy": scores.accuracy, "nll": scores.nll},
        }
    )
    weights = tmp_path_factory.mktemp("weights") / "0.safetensors"
    save_weights(trainer.student, weights)
    trial = run.model_copy(update={"number": 7, "phase": "search", "test": None})
    return Trained(Finalist(trial, (run,), (_baseline(run),)), trainer.student.eval(), weights)


def _baseline(run: TrialRecord) -> TrialRecord:
    """A training without a teacher that scored 0.2 on the test."""
    return run.model_copy(update={"number": 1, "test": {"accuracy": 0.2, "nll": 1.0}})
