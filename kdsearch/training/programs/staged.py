"""Students that are cut from a wider network while it is trained."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any

import torch

from kdsearch.data import Dataset
from kdsearch.models import Network, build_network
from kdsearch.training.evaluation import Scores
from kdsearch.training.hardware import Hardware
from kdsearch.training.programs.base import TrainingProgram
from kdsearch.training.reports import EpochReport
from kdsearch.training.stages import stage_tasks
from kdsearch.training.task import Task
from kdsearch.training.teacher import Reference, Teaching
from kdsearch.training.trainer import Trainer


class Staged(TrainingProgram):
    """A training in stages, each of a narrower network than the one before.

    Each stage begins with the most important channels of the network that the one before has
    trained. Samples and views are those of the epochs of the whole training.

    Args:
        task: The whole training.
        data: The data set.
        teacher: Who teaches in all stages.
        hardware: What to train on.
        reference: The teacher that students are compared with in evaluations.
        rungs: As :func:`~kdsearch.training.programs.begin_training`; only those in the last stage
            are scored, as the earlier networks are not the student.
        origin: As :class:`~kdsearch.training.trainer.Trainer`.
    """

    def __init__(
        self,
        task: Task,
        data: Dataset,
        teacher: Teaching | None = None,
        hardware: Hardware | None = None,
        reference: Reference | None = None,
        rungs: Collection[int] = (),
        origin: Network | None = None,
    ) -> None:
        self._data, self._teacher, self._hardware = data, teacher, hardware
        self._reference, self._rungs = reference, rungs
        config = None if origin is None else origin.config
        self._tasks = stage_tasks(task, None if config is None else config.width)
        self._trainer = self._begin(0, origin)

    def _begin(
        self, stage: int, origin: Network | None = None, student: Network | None = None
    ) -> Trainer:
        self.stage = stage
        self._before = sum(each.training.epochs for each in self._tasks[:stage])
        last = stage == len(self._tasks) - 1
        return Trainer(
            self._tasks[stage],
            self._data,
            self._teacher,
            self._hardware,
            reference=self._reference,
            student=student,
            rungs=[rung - self._before for rung in self._rungs if last and rung > self._before],
            origin=origin,
            since=self._before,
            whole=sum(each.training.epochs for each in self._tasks),
        )

    @property
    def student(self) -> Network:
        """The network of the present stage."""
        return self._trainer.student

    @property
    def finished(self) -> bool:
        """Whether the last stage has done all its epochs."""
        return self.stage == len(self._tasks) - 1 and self._trainer.finished

    def train_epoch(self) -> EpochReport:
        """Train for one epoch, of a narrower network once a stage is over; epochs count on."""
        if self._trainer.finished:
            self._trainer = self._begin(self.stage + 1, self._trainer.student)
        report = self._trainer.train_epoch()
        return replace(report, epoch=self._before + report.epoch)

    def score_test(self) -> Scores:
        """Scores of the student on the test split."""
        return self._trainer.score_test()

    def state_dict(self) -> dict[str, Any]:
        """The present stage's training."""
        return {"stage": self.stage, "trainer": self._trainer.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from :meth:`state_dict` of the same task."""
        task = self._tasks[state["stage"]]
        data = self._data.of_tasks(task.tasks)
        with torch.random.fork_rng(devices=[]):  # all weights come from the state
            student = build_network(task.model, data.inputs, data.outputs)
        self._trainer = self._begin(state["stage"], student=student)
        self._trainer.load_state_dict(state["trainer"])
