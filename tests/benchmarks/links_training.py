"""What the benchmark of links trains: students of many widths, from scratch and in chains."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

from side_by_side import StudyBench, teacher_file

from kdsearch.errors import DivergedError
from kdsearch.methods import UNDISTILLED, method_config
from kdsearch.models import Network
from kdsearch.spec.concrete import Importance, ModelConfig, TrainingConfig
from kdsearch.spec.study import StudySpec
from kdsearch.spec.teaching import TEACHER
from kdsearch.training.recipe import study_views_seed
from kdsearch.training.task import Task
from kdsearch.training.trainer import Trainer

PARENT = "parent"
"""What a link is cut from, where a study would name a teacher."""
DEPTHS = {"convnet": 3, "resnet": 8}
"""Of teacher and students, by family."""


@dataclass(frozen=True)
class Link:
    """How each next narrower student of a chain is made of its parent.

    Attributes:
        epochs: That it is trained for, with a schedule of its own.
        importance: What decides which channels it keeps.
    """

    epochs: int
    importance: Importance = "magnitude"

    def __str__(self) -> str:
        return f"{self.epochs} epochs, {self.importance}"


LINKS = (*map(Link, (5, 9, 14)), Link(9, "bn_scale"), Link(9, "activation"), Link(9, "taylor"))


@dataclass(frozen=True)
class Config:
    """The settings of a training that do not change with the student's size."""

    label: str
    lr: float
    params: tuple[tuple[str, float], ...] = ()

    def __str__(self) -> str:
        told = "".join(f", {name} {value:g}" for name, value in self.params)
        return f"{self.label}{told}, {self.lr:g}"


def configs(rates: tuple[float, ...]) -> list[Config]:
    """The settings that are tried at several widths."""
    methods = [
        (UNDISTILLED, ()),
        *(("kd", (("temperature", temperature),)) for temperature in (2.0, 6.0)),
        ("dist", ()),
    ]
    return [Config(label, lr, params) for (label, params), lr in product(methods, rates)]


@dataclass(frozen=True)
class Setting:
    """What is trained, on either data set and of either family.

    Attributes:
        samples: Training and validation samples together.
        validation: Share of them that trainings are scored on.
        test: Test images of CIFAR-10.
        epochs: Of a whole training.
        widths: Of the students, the widest first.
        teacher: Width of the teacher.
        rates: Learning rates that are tried.
        seeds: Trainings of everything.
        links: The kinds of links.
    """

    samples: int = 8_000
    validation: float = 0.25
    test: int = 2_000
    epochs: int = 27
    widths: tuple[float, ...] = (1.0, 0.8, 0.64, 0.51, 0.41, 0.33, 0.26)
    teacher: float = 2.0
    rates: tuple[float, ...] = (0.02, 0.06, 0.2)
    seeds: int = 3
    links: tuple[Link, ...] = LINKS

    @property
    def anchors(self) -> tuple[float, ...]:
        """The widths at which settings are compared: both ends and the middle."""
        return (self.widths[0], self.widths[len(self.widths) // 2], self.widths[-1])

    def spec(self, data: dict[str, Any], family: str, folder: Path) -> StudySpec:
        """The study whose data and teacher all trainings have."""
        model = {"family": family, "width": self.teacher, "depth": DEPTHS[family]}
        checkpoint = teacher_file(folder)
        training = {"epochs": self.epochs, "batch_size": 64, "lr": 0.1}
        return StudySpec.model_validate(
            {
                "study": {"name": "links", "directory": str(folder)},
                "data": {**data, "validation": self.validation},
                "teacher": {"model": model, "training": training}
                | ({"checkpoint": str(checkpoint)} if checkpoint.is_file() else {}),
                "students": [model | {"width": self.widths[0]}],
                "methods": [UNDISTILLED, "kd", "dist"],
                "training": training,
                "search": {"trials": 1},
            }
        )


class Bench(StudyBench):
    """What each process holds: data, and a teacher whose answers are kept.

    Args:
        setting: What is trained.
        spec: The study.
    """

    def __init__(self, setting: Setting, spec: StudySpec) -> None:
        super().__init__(spec)
        self.setting, self.spec = setting, spec

    def whole(self, job: tuple[float, Config, int]) -> dict[str, Any]:
        """A student of a width trained from scratch."""
        width, config, seed = job
        _, score = self._train(self._task(width, config, seed, self.setting.epochs))
        return {"width": width, "config": str(config), "seed": seed, "validation": score}

    def chain(self, job: tuple[Config, int, Link]) -> list[dict[str, Any]]:
        """A chain that goes on from the widest student, which is trained from scratch."""
        config, seed, link = job
        widest, *rest = self.setting.widths
        parent = self._head(widest, config, seed)
        found = []
        for width in rest:
            task = self._task(width, config, seed, link.epochs, link)
            parent, score = self._train(task, parent)
            told = {"width": width, "link": str(link), "seed": seed, "validation": score}
            found.append(told)
        return found

    @cache  # noqa: B019 (a process has one bench)
    def _head(self, width: float, config: Config, seed: int) -> Network:
        return self._train(self._task(width, config, seed, self.setting.epochs))[0]

    def _task(
        self, width: float, config: Config, seed: int, epochs: int, link: Link | None = None
    ) -> Task:
        family = self.spec.students[0].family
        model = ModelConfig(family=family, width=width, depth=DEPTHS[family])
        if link is not None:
            cut = {"cut_from": PARENT, "importance": link.importance}
            model = model.model_copy(update=cut)
        return Task(
            model=model,
            method=method_config(config.label, dict(config.params)),
            training=TrainingConfig(
                epochs=epochs, batch_size=64, lr=config.lr, weight_decay=5e-4, clip_grad_norm=5.0
            ),
            augment=self.spec.data.augment,
            views_seed=study_views_seed(self.spec),
            teacher=None if config.label == UNDISTILLED else TEACHER,
            seed=seed,
        )

    def _train(self, task: Task, parent: Network | None = None) -> tuple[Network, float]:
        """The trained student, and its accuracy on validation; 0 where it diverged."""
        teaching = self.teachers[TEACHER] if task.teacher else None
        trainer = Trainer(task, self.data, teaching, origin=parent)
        try:
            while not trainer.finished:
                report = trainer.train_epoch()
        except DivergedError:
            return trainer.student, 0.0
        return trainer.student, report.scores["accuracy"]
