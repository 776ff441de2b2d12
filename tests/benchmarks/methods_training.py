"""What the methods train."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from kdsearch.data import Dataset, load_dataset
from kdsearch.errors import DivergedError
from kdsearch.methods import UNDISTILLED, label_hyperparameters, method_config
from kdsearch.models import Network, build_network
from kdsearch.space.compatibility import adopting
from kdsearch.spec.concrete import ModelConfig, TrainingConfig
from kdsearch.spec.sections import DataSection
from kdsearch.spec.teaching import BORN_AGAIN, MUTUAL, TEACHER
from kdsearch.training.programs import begin_training
from kdsearch.training.task import Task
from kdsearch.training.teacher import Reference, Teacher
from kdsearch.training.trainer import Trainer

KD_BY = {"kd, born again": BORN_AGAIN, "kd, mutual": MUTUAL}
"""Beside every method by the teacher: kd by the student's own like."""

LIKE_VALUES = {"temperature": 1.0, "weight": 1.0, "ce_weight": 1.0}
"""Published values of both (Furlanello et al. 2018; Zhang et al. 2018)."""


_TEACHER = ModelConfig(family="convnet", width=1.0, depth=3)
_STUDENT = ModelConfig(family="convnet", width=0.25, depth=3)


@dataclass(frozen=True)
class Setting:
    """What the benchmark trains.

    Attributes:
        samples: Training and validation samples together.
        teacher: The teacher, and the epochs of its training.
        student: The student.
        epochs: Epochs of a student.
        seeds: Trainings of each method.
        scale: What every published weight is multiplied by.
    """

    samples: int = 7_200
    teacher: tuple[ModelConfig, int] = (_TEACHER, 12)
    student: ModelConfig = _STUDENT
    epochs: int = 6
    seeds: int = 5
    scale: float = 1.0

    def data(self, root: Path) -> Dataset:
        section = DataSection(
            source="fashion_mnist", root=root, limit=self.samples, validation=1 / 6
        )
        return load_dataset(section)

    def values(self, name: str) -> dict[str, float]:
        """What is given beside the published defaults."""
        if name in KD_BY:
            return LIKE_VALUES
        weight = label_hyperparameters(name).get("weight")
        return {} if weight is None or self.scale == 1 else {"weight": weight.default * self.scale}

    def task(self, name: str, seed: int, lr: float) -> Task:
        """The training of a method: a name of kdsearch, or a key of ``KD_BY``."""
        label = "kd" if name in KD_BY else name
        teacher = None if name == UNDISTILLED else KD_BY.get(name, TEACHER)
        return Task(
            model=adopting(label, self.student, self.teacher[0]),
            method=method_config(label, self.values(name)),
            training=TrainingConfig(epochs=self.epochs, batch_size=64, lr=lr, clip_grad_norm=5.0),
            views_seed=0,
            teacher=teacher,
            seed=seed,
        )


QUICK = Setting(samples=2_400, epochs=3, seeds=2)


class Bench:
    """What each process holds: data, teacher, and the reference for agreement."""

    def __init__(self, setting: Setting, root: Path, weights: dict[str, torch.Tensor]) -> None:
        torch.set_num_threads(1)
        self.setting = setting
        self.data = setting.data(root)
        network = self.network()
        network.load_state_dict(weights)
        self.teacher = Teacher(network)
        self.reference = Reference(self.teacher, self.data)

    def network(self) -> Network:
        return build_network(self.setting.teacher[0], self.data.inputs, len(self.data.classes))

    def train(self, job: tuple[str, int, float, bool]) -> dict[str, Any]:
        """One training's scores; on the test split if asked, else on validation."""
        name, seed, lr, test = job
        start = time.perf_counter()
        task = self.setting.task(name, seed, lr)
        course = begin_training(task, self.data, {TEACHER: self.teacher}, reference=self.reference)
        told = {"name": name, "lr": lr}
        try:
            while not course.finished:
                report = course.train_epoch()
        except DivergedError:
            return {**told, "accuracy": 0.0, "diverged": True}
        scores = course.score_test() if test else report.scores
        return {**told, "seconds": time.perf_counter() - start, **scores}


def train_teacher(setting: Setting, root: Path) -> tuple[dict[str, torch.Tensor], float]:
    """The teacher's weights, and its accuracy on the test split."""
    model, epochs = setting.teacher
    task = Task(
        model=model,
        method=method_config(UNDISTILLED, {}),
        training=TrainingConfig(epochs=epochs, batch_size=64, lr=0.05),
        views_seed=0,
        seed=1_000,
    )
    trainer = Trainer(task, setting.data(root))
    while not trainer.finished:
        trainer.train_epoch()
    weights = {name: value.clone() for name, value in trainer.student.state_dict().items()}
    return weights, trainer.score_test()["accuracy"]
