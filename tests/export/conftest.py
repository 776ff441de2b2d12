"""A trained student with the records of a study around it, and a strict reader of JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from kdsearch.data import Dataset
from kdsearch.models import Network, build_network, measure
from kdsearch.results.finalists import Finalist
from kdsearch.results.record import TrialRecord
from kdsearch.spec.concrete import ModelConfig
from kdsearch.training.task import Task
from kdsearch.training.teacher import Teacher
from kdsearch.training.trainer import Trainer
from kdsearch.training.weights import save_weights
from tests.records import sized
from tests.training.trainings import finish


@dataclass(frozen=True)
class Trained:
    """A finalist, the network of its shipped training, and the file of its weights."""

    finalist: Finalist
    network: Network
    weights: Path


def strict_json(text: str) -> Any:
    """The text as other languages read it: NaN and Infinity are no JSON."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    return json.loads(text, parse_constant=refuse)


@pytest.fixture(scope="session")
def trained(
    digits: Dataset, make_task: Callable[..., Task], tmp_path_factory: pytest.TempPathFactory
) -> Trained:
    torch.manual_seed(0)
    model = ModelConfig(family="convnet", depth=2)
    teacher = Teacher(build_network(model, digits.inputs, len(digits.classes)))
    task = make_task("kd+fitnet", {"kd.temperature": 3.0}, augment={"crop": 1}, epochs=3)
    trainer = Trainer(task, digits, teacher)
    reports = [report.as_dict() for report in finish(trainer)]
    scores = trainer.score_test()
    run = sized(0, "finalists", task, measure(trainer.student)).model_copy(
        update={
            "status": "complete",
            "epochs": tuple(reports),
            "test": {"accuracy": scores["accuracy"], "nll": scores["nll"]},
        }
    )
    weights = tmp_path_factory.mktemp("weights") / "0.safetensors"
    save_weights(trainer.student, weights)
    trial = run.model_copy(update={"number": 7, "phase": "search", "test": None})
    return Trained(Finalist(trial, (run,), (_baseline(run),)), trainer.student.eval(), weights)


def _baseline(run: TrialRecord) -> TrialRecord:
    """A training without a teacher that scored 0.2 on the test."""
    return run.model_copy(update={"number": 1, "test": {"accuracy": 0.2, "nll": 1.0}})
