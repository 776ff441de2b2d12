"""What the benchmark of ways trains: students of three widths, each way alone and distilled."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from side_by_side import StudyBench, teacher_file

from kdsearch.errors import DivergedError
from kdsearch.methods import UNDISTILLED, method_config
from kdsearch.models import measure
from kdsearch.spec.concrete import ModelConfig, TrainingConfig
from kdsearch.spec.study import StudySpec
from kdsearch.spec.teaching import TEACHER
from kdsearch.spec.ways import NO_WAY
from kdsearch.training.programs import begin_training
from kdsearch.training.quantized import quantized
from kdsearch.training.recipe import study_views_seed
from kdsearch.training.stages import widening
from kdsearch.training.task import Task
from kdsearch.ways import way_configs

DISTILLED = "dist"
"""By which students are distilled: the best of many at one budget (``methods.py``)."""
METHODS = (UNDISTILLED, DISTILLED)


@dataclass(frozen=True)
class Case:
    """A way, and the students that it is tried on."""

    label: str
    values: tuple[tuple[str, float], ...] = ()
    family: str = "convnet"
    depth: int = 3

    def __str__(self) -> str:
        told = ", ".join(f"{name.split('.')[-1]} {value:g}" for name, value in self.values)
        family = "" if self.family == "convnet" else f"{self.family}: "
        return f"{family}{self.label}{f' ({told})' if told else ''}"

    @property
    def plain(self) -> Case:
        """The same students without a way."""
        return Case(NO_WAY, (), self.family, self.depth)

    def model(self, width: float) -> ModelConfig:
        ways = way_configs(self.label, dict(self.values))
        return ModelConfig(family=self.family, width=width, depth=self.depth, ways=ways)


CASES = (
    Case(NO_WAY),
    Case("prune", (("cuts", 1),)),
    Case("prune", (("cuts", 2),)),
    Case("low_rank", (("rank", 0.5),)),
    Case("sparse", (("sparsity", 0.8),)),
    Case("two_of_four"),
    Case("codebook", (("entries", 32),)),
    Case("quantize", (("bits", 8),)),
    Case("quantize", (("bits", 4),)),
    Case("low_rank+quantize", (("quantize.bits", 4),)),
    Case("prune+quantize", (("quantize.bits", 4),)),
    Case(NO_WAY, (), "mlp", 4),
    Case("share", (), "mlp", 4),
)
"""Blocks alike, which ``share`` needs, are those of the MLP."""


@dataclass(frozen=True)
class Setting:
    """What is trained, on either data set.

    Attributes:
        samples: Training and validation samples together.
        test: Test images of CIFAR-10.
        epochs: Of every training.
        widths: Of the students, the narrowest first.
        rates: Learning rates among which each way and method chooses at the middle width.
        seeds: Trainings of everything.
        cases: The ways.
    """

    samples: int = 5_000
    test: int = 2_000
    epochs: int = 15
    widths: tuple[float, ...] = (0.25, 0.5, 1.0)
    rates: tuple[float, ...] = (0.03, 0.1, 0.3)
    seeds: int = 3
    cases: tuple[Case, ...] = field(default=CASES, repr=False)

    def spec(self, data: dict[str, Any], folder: Path) -> StudySpec:
        """The study whose data and teacher all trainings have."""
        checkpoint = teacher_file(folder)
        training = {"epochs": self.epochs, "batch_size": 64, "lr": 0.1}
        teacher = {
            "model": {"family": "convnet", "width": 2, "depth": 3},
            "training": training | {"epochs": 2 * self.epochs, "lr": 0.05},
        }
        given = {"checkpoint": str(checkpoint)} if checkpoint.is_file() else {}
        return StudySpec.model_validate(
            {
                "study": {"name": "ways", "directory": str(folder)},
                "data": {**data, "validation": 0.2},
                "teacher": teacher | given,
                "students": [{"family": "convnet", "depth": 3}],
                "methods": list(METHODS),
                "training": training,
                "search": {"trials": 1},
            }
        )


@dataclass(frozen=True)
class Job:
    """One training."""

    case: Case
    method: str
    width: float
    seed: int
    lr: float


class Bench(StudyBench):
    """What each process holds: data, and a teacher whose answers are kept.

    Args:
        setting: What is trained.
        spec: The study.
    """

    def __init__(self, setting: Setting, spec: StudySpec) -> None:
        super().__init__(spec)
        self.setting, self.spec = setting, spec

    def train(self, job: Job) -> dict[str, Any]:
        """A training's scores and the student's sizes; of a student without a way, also after it
        was quantized to int8."""
        start, task = time.perf_counter(), self._task(job)
        program = begin_training(task, self.data, self.teachers)
        told: dict[str, Any] = {
            "case": str(job.case),
            "method": job.method,
            "width": job.width,
            "seed": job.seed,
            "lr": job.lr,
        }
        try:
            while not program.finished:
                report = program.train_epoch()
        except DivergedError:
            return told | {"validation": 0.0, "diverged": True}
        size = measure(program.student)
        told |= {
            "validation": report.scores["accuracy"],
            "test": program.score_test()["accuracy"],
            "seconds": time.perf_counter() - start,
            "bytes": size.bytes,
            "parameters": size.parameters,
            "macs": size.macs,
            "compute": widening(task),
        }
        if job.case.label == NO_WAY:
            int8 = quantized(program.student, self.data, None, 1)
            told |= {"int8_bytes": int8.bytes, "int8": int8.test["accuracy"]}
        return told

    def _task(self, job: Job) -> Task:
        return Task(
            model=job.case.model(job.width),
            method=method_config(job.method, {}),
            training=TrainingConfig(
                epochs=self.setting.epochs,
                batch_size=64,
                lr=job.lr,
                weight_decay=5e-4,
                clip_grad_norm=5.0,
            ),
            augment=self.spec.data.augment,
            views_seed=study_views_seed(self.spec),
            teacher=None if job.method == UNDISTILLED else TEACHER,
            seed=job.seed,
        )
