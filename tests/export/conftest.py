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
from kdsearch.models import Network, Size, build_network, measure
from kdsearch.models.weights import save_weights
from kdsearch.results.directory import StudyDirectory
from kdsearch.results.finalists import Finalist, weights_file
from kdsearch.results.judging import Judging
from kdsearch.results.record import TrialRecord
from kdsearch.results.study import Study
from kdsearch.results.sweep import PlannedTraining
from kdsearch.spec.concrete import ModelConfig
from kdsearch.spec.study import StudySpec
from kdsearch.spec.teaching import TEACHER
from kdsearch.training.task import Task
from kdsearch.training.teacher import Teacher
from kdsearch.training.trainer import Trainer
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


@pytest.fixture
def spec(tmp_path: Path) -> StudySpec:
    return StudySpec.model_validate(
        {
            "study": {"name": "small", "directory": str(tmp_path)},
            "data": {"source": "digits", "validation": 0.2, "test": 0.25, "limit": 300},
            "teacher": {"model": {"family": "convnet", "depth": 2}},
            "students": [{"family": "convnet"}],
            "methods": ["kd+fitnet"],
            "finalists": {"seeds": 2},
        }
    )


@pytest.fixture
def study(spec: StudySpec, trained: Trained) -> Study:
    """Two trials of the search, one of which failed, and all finalists' trainings but one."""
    directory = StudyDirectory.of(spec)
    directory.create(spec)
    largest = {"parameters": 20_000, "macs": 10**6, "bytes": 80_000}
    directory.update(state="finished", teachers={TEACHER: {"size": largest}})
    good = trained.finalist.trial
    directory.trials.append(good)
    directory.trials.append(
        good.model_copy(
            update={"number": 8, "status": "failed", "reason": 'a "reason", told', "epochs": ()}
        )
    )
    judging = Judging(spec, [good], [good], {})
    size = measure(trained.network)
    baselines = judging.of_baselines({})  # nothing is searched, so there is nothing to tune
    judged = [_ended(run, size, score) for run, score in zip(judging.runs, (0.5, 0.7), strict=True)]
    for record in [*judged, _ended(baselines[0], size, 0.4)]:
        directory.finalists.append(record)
        save_weights(trained.network, weights_file(directory.weights, record))
    return Study.open(directory.path)


def _ended(training: PlannedTraining, size: Size, score: float) -> TrialRecord:
    record = sized(training.number, training.phase, training.task, size)
    epoch = {"epoch": 1.0, "accuracy": score - 0.1, "seconds": 2.0}
    test = {"accuracy": score, "nll": 1.0, "ece": 0.2 * score, "agreement": score + 0.1, "kl": 0.5}
    if record.phase != "finalists":
        test = None
    return record.model_copy(update={"status": "complete", "epochs": (epoch,), "test": test})
