"""One configuration trained to its end, and what each candidate for a rung's score says on the way.

The candidates, each after some fraction of the epochs:

- ``raw``: the student as it is;
- ``ema``: its weights averaged (:class:`~kdsearch.training.averaging.WeightAverage`), by a profile
  whose width is a tenth of the steps so far;
- ``ema_wide``: the same with a width of a fifth;
- ``cooldown``: a copy that trains on for a fifth of the epochs so far while its learning rate falls
  to zero;
- ``scaled``: a training from the start whose whole schedule is as long as the rung.
"""

from __future__ import annotations

import copy
import time
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import torch
from side_by_side import StudyBench
from torch.optim.lr_scheduler import LambdaLR

from kdsearch.errors import DivergedError
from kdsearch.models import Network
from kdsearch.spec import load_spec
from kdsearch.spec.study import StudySpec
from kdsearch.training import evaluation
from kdsearch.training.averaging import WeightAverage
from kdsearch.training.task import Task
from kdsearch.training.teacher import plain_views
from kdsearch.training.trainer import Trainer

SPACE = Path(__file__).resolve().parents[2] / "search_spaces" / "fashion_mnist.yaml"
FRACTIONS = tuple(Fraction(1, part) for part in (9, 4, 3, 2))
AVERAGES = {"ema": 0.1, "ema_wide": 0.2}
"""Widths of the averaging profiles."""
CANDIDATES = ("raw", *AVERAGES, "cooldown", "scaled")
COOLDOWN = Fraction(1, 5)
"""Epochs of a cooldown over those before it."""

CPU = torch.device("cpu")


@dataclass(frozen=True)
class Setting:
    """What the benchmark trains.

    Attributes:
        samples: Training and validation samples together.
        validation: Share of them that trainings are scored on.
        epochs: Epochs of a whole training, a multiple of 36 for rungs at whole epochs.
        configs: Configurations.
        candidates: Who is asked.
    """

    samples: int = 4_000
    validation: float = 0.5
    epochs: int = 36
    configs: int = 48
    candidates: tuple[str, ...] = CANDIDATES

    def spec(self, root: Path, folder: Path, *more: str) -> StudySpec:
        """The shipped space of Fashion-MNIST, with a smaller teacher and fewer images."""
        words = {
            "study.directory": folder,
            "data.root": root,
            "data.limit": self.samples,
            "data.validation": self.validation,
            "teacher.model": "{family: convnet, width: 1, depth: 3}",
            "training.batch_size": 64,
            "training.epochs": self.epochs,
        }
        return load_spec(SPACE, [*(f"{key}={value}" for key, value in words.items()), *more])

    def marks(self) -> dict[str, int]:
        """Epochs after which the candidates are read, by the fraction's name."""
        return {str(each): max(1, round(self.epochs * each)) for each in FRACTIONS}


@dataclass
class Scores:
    """What the candidates said of one configuration, and what they took.

    Attributes:
        parameters: Size of the student.
        label: Its method.
        final: Validation scores at the end; ``None`` of a training that diverged.
        at: By candidate and fraction, validation scores.
        seconds: By candidate and fraction, what it took beside the training; of ``final``, the
            whole training.
    """

    parameters: int
    label: str
    final: dict[str, float] | None = None
    at: dict[str, dict[str, dict[str, float]]] = field(default_factory=dict)
    seconds: dict[str, dict[str, float]] = field(default_factory=dict)

    def note(self, candidate: str, fraction: str, scores: evaluation.Scores, since: float) -> None:
        """Take in what a candidate said, and the time since it was asked."""
        self.at.setdefault(candidate, {})[fraction] = scores
        spent = self.seconds.setdefault(candidate, {})
        spent[fraction] = spent.get(fraction, 0.0) + time.perf_counter() - since


class Bench(StudyBench):
    """Trains a configuration, and asks the candidates on the way.

    Args:
        setting: What is trained.
        spec: The study, its teacher given as a checkpoint.
    """

    def __init__(self, setting: Setting, spec: StudySpec) -> None:
        super().__init__(spec)
        self.setting = setting

    def measure(self, job: tuple[Task, int]) -> Scores:
        """Train a task, whose student has so many parameters, to its end."""
        task, parameters = job
        found = Scores(parameters, task.method.label)
        try:
            self._whole(task, found)
            if "scaled" in self.setting.candidates:
                for fraction, epochs in self.setting.marks().items():
                    start = time.perf_counter()
                    found.note("scaled", fraction, self._scaled(task, epochs), start)
        except DivergedError:
            found.final = None
        return found

    def _whole(self, task: Task, found: Scores) -> None:
        trainer = self.trainer(task)
        averages = {
            name: WeightAverage(trainer.student, share)
            for name, share in AVERAGES.items()
            if name in self.setting.candidates
        }
        averaging = dict.fromkeys(averages, 0.0)
        fractions = {epoch: fraction for fraction, epoch in self.setting.marks().items()}
        training = 0.0
        while not trainer.finished:
            start, losses = time.perf_counter(), []
            for step, batch in enumerate(trainer.begin_epoch()):
                losses.append(trainer.train_step(batch, step))
                for name, average in averages.items():
                    before = time.perf_counter()
                    average.update()
                    averaging[name] += time.perf_counter() - before
            report = trainer.end_epoch(losses, start)
            training += report.seconds
            fraction = fractions.get(trainer.epoch)
            if fraction is not None:
                found.note("raw", fraction, report.scores, time.perf_counter())
                for name, average in averages.items():
                    found.note(name, fraction, self._score(average.network), time.perf_counter())
                    found.seconds[name][fraction] += averaging[name]
                if "cooldown" in self.setting.candidates:
                    start = time.perf_counter()
                    found.note("cooldown", fraction, self._cooled_down(trainer), start)
        found.final = report.scores
        found.seconds["final"] = {"1": training - sum(averaging.values())}

    def _score(self, network: Network) -> evaluation.Scores:
        views = plain_views(self.data, "validation", CPU)
        return evaluation.evaluate(network, views, self.data.problem)

    def _cooled_down(self, trainer: Trainer) -> evaluation.Scores:
        branch = self.trainer(trainer.task)
        branch.load_state_dict(copy.deepcopy(trainer.state_dict()))
        optimizer = branch._optimizer
        epochs = max(1, round(trainer.epoch * COOLDOWN))
        steps = epochs * branch.steps_per_epoch
        reached = optimizer.param_groups[0]["lr"] / optimizer.param_groups[0]["initial_lr"]
        branch._schedule = LambdaLR(optimizer, lambda step: reached * (1 - step / steps))
        for _ in range(epochs):
            report = branch.train_epoch()
        return report.scores

    def _scaled(self, task: Task, epochs: int) -> evaluation.Scores:
        training = task.training.model_copy(update={"epochs": epochs})
        trainer = self.trainer(task.model_copy(update={"training": training}))
        while not trainer.finished:
            report = trainer.train_epoch()
        return report.scores
