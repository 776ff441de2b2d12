"""What the benchmark of domains trains: from MNIST to scikit-learn's digits."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torchvision.datasets import MNIST

from kdsearch.data import RawData, Views
from kdsearch.data.domains import load_study_data
from kdsearch.errors import DivergedError
from kdsearch.methods import method_config, needs_teacher
from kdsearch.models import Network, build_network
from kdsearch.models.weights import load_weights, save_weights
from kdsearch.results.sweep import published_values, sweep_points
from kdsearch.spec.concrete import ModelConfig, TrainingConfig
from kdsearch.spec.sections import SEARCHED_TRAINING
from kdsearch.spec.study import StudySpec
from kdsearch.spec.teaching import TEACHER
from kdsearch.training.evaluation import evaluate
from kdsearch.training.programs import begin_training
from kdsearch.training.recipe import Recipe
from kdsearch.training.teacher import Teacher
from kdsearch.training.teacher_store import teacher_task
from kdsearch.training.trainer import Trainer

METHODS = (
    "none",
    "adabn",
    "coral",
    "mmd",
    "dann",
    "dann+adabn",
    "kd",
    "kd+adabn",
    "kd+coral",
    "kd+mmd",
)
SIDE = 8
TESTED = 2_000
"""Test images of the source."""


@dataclass(frozen=True)
class Setting:
    """What is trained.

    Attributes:
        samples: Training images of the source.
        epochs: Of a student.
        teacher_epochs: Of the teacher.
        tries: Configurations among which each method chooses on validation.
        seeds: Trainings of each method.
    """

    samples: int = 1_000
    epochs: int = 10
    teacher_epochs: int = 20
    tries: int = 4
    seeds: int = 5

    def spec(self, root: Path) -> StudySpec:
        """The study, of which the teacher and the students of some methods are trained."""
        rates = {"low": 0.01, "high": 0.3, "log": True}
        return StudySpec.model_validate(
            {
                "study": {"name": "domains", "seed": 1},
                "data": {
                    "source": "domains_training:shrunken_mnist",
                    "options": {"root": str(root)},
                    "limit": self.samples,
                },
                "target": {"source": "digits"},
                "teacher": {
                    "model": {"family": "convnet", "width": 1, "depth": 2},
                    "training": {"epochs": self.teacher_epochs, "batch_size": 64, "lr": 0.05},
                },
                "students": [{"family": "convnet", "width": 0.5, "depth": 2}],
                "methods": {label: {} for label in METHODS},
                "training": {
                    "epochs": self.epochs,
                    "batch_size": 128,
                    "lr": rates,
                    "clip_grad_norm": 5.0,
                },
            }
        )


QUICK = Setting(samples=500, epochs=3, teacher_epochs=5, tries=2, seeds=2)


def shrunken_mnist(root: str) -> RawData:
    """MNIST in 8×8 pixels, as a source of kdsearch."""
    train, test = (MNIST(root, train=train) for train in (True, False))
    return RawData(
        shrunken(train.data.numpy()),
        train.targets.numpy(),
        shrunken(test.data.numpy()[:TESTED]),
        test.targets.numpy()[:TESTED],
        classes=list(map(str, range(10))),
    )


def shrunken(images: np.ndarray) -> np.ndarray:
    """uint8 [N, 28, 28] without the margin of 4 pixels, as means of 8×8 equal fields: [N, 8, 8].

    MNIST fits each digit into a box of 20×20 pixels and centres it by its mass; scikit-learn's
    digits fill their frame. Every pixel counts for the fields that it lies in, by its share.
    """
    boxes = images[:, 4:24, 4:24].repeat(2, axis=1).repeat(2, axis=2)
    fields = boxes.reshape(len(images), SIDE, 5, SIDE, 5)
    return np.rint(fields.mean(axis=(2, 4))).astype(np.uint8)


def configurations(spec: StudySpec, label: str, tries: int) -> list[dict[str, Any]]:
    """What a method is tried with: as many points, spread evenly over all that is searched."""
    names, settings = list(published_values(spec, label)), len(SEARCHED_TRAINING)
    return [
        {
            "training": dict(zip(SEARCHED_TRAINING, point[:settings], strict=True)),
            "values": dict(zip(names, point[settings:], strict=True)),
        }
        for point in sweep_points(spec, tries, label)
    ]


class Bench:
    """What each process holds: the study, its data, and the teacher once it is trained."""

    def __init__(self, setting: Setting, root: Path, file: Path) -> None:
        torch.set_num_threads(1)
        self.spec, self._file = setting.spec(root), file
        self.data = load_study_data(self.spec)
        self._teacher: Teacher | None = None

    def teach(self) -> dict[str, float]:
        """Train the teacher, which sees no sample of the target, and keep its weights."""
        trainer = Trainer(teacher_task(self.spec), self.data)
        while not trainer.finished:
            trainer.train_epoch()
        save_weights(trainer.student, self._file)
        return self._scores(trainer.student, trainer.score_test())

    def train(self, job: tuple[str, Mapping[str, Any], int]) -> dict[str, Any]:
        """One training's scores."""
        label, chosen, replicate = job
        taught = needs_teacher(label)
        section = self.spec.students[0]
        recipe = Recipe(
            ModelConfig(family=section.family, width=section.width, depth=section.depth),
            method_config(label, chosen["values"]),
            TrainingConfig(
                epochs=self.spec.training.epochs,
                batch_size=self.spec.training.batch_size,
                clip_grad_norm=self.spec.training.clip_grad_norm,
                **chosen["training"],
            ),
            TEACHER if taught else None,
        )
        told = {"method": label, "chosen": chosen, "seed": replicate}
        begun = time.perf_counter()
        teachers = {TEACHER: self.teacher} if taught else {}
        program = begin_training(recipe.task(self.spec, replicate), self.data, teachers)
        try:
            while not program.finished:
                report = program.train_epoch()
        except DivergedError:
            return {**told, "validation": 0.0, "target": 0.0, "source": 0.0, "seconds": 0.0}
        return {
            **told,
            "validation": report.scores["accuracy"],
            "seconds": time.perf_counter() - begun,
            **self._scores(program.student, program.score_test() if replicate else {}),
        }

    def _scores(self, network: Network, target: Mapping[str, float]) -> dict[str, float]:
        """Accuracy on both tests; in a search on none."""
        if not target:
            return {}
        assert self.data.source_test is not None
        views = Views(self.data.source_test, self.data.scales, None, 0)
        source = evaluate(network, views, self.data.problem)
        return {"target": target["accuracy"], "source": source["accuracy"]}

    @property
    def teacher(self) -> Teacher:
        """The trained teacher."""
        if self._teacher is None:
            network = build_network(
                self.spec.teacher.model, self.data.inputs, len(self.data.classes)
            )
            load_weights(network, self._file, "the teacher")
            self._teacher = Teacher(network)
        return self._teacher


def jobs_of(spec: StudySpec, setting: Setting) -> Iterator[tuple[str, dict[str, Any], int]]:
    """The trainings that tune the methods."""
    for label in METHODS:
        for chosen in configurations(spec, label, setting.tries):
            yield label, chosen, 0
