"""Students that are taught by their own like, one generation after another."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any

from kdsearch.data import Dataset, derive
from kdsearch.methods import UNDISTILLED, method_config
from kdsearch.models import Network
from kdsearch.training.evaluation import Scores
from kdsearch.training.hardware import Hardware
from kdsearch.training.initial import initial_student
from kdsearch.training.programs.base import TrainingProgram
from kdsearch.training.reports import EpochReport
from kdsearch.training.task import Task
from kdsearch.training.teacher import Reference, Teacher
from kdsearch.training.trainer import Trainer


class BornAgain(TrainingProgram):
    """A student taught by its own like (Furlanello et al. 2018, "Born-Again Neural Networks").

    The first generation learns from the labels alone; each later one starts afresh with the trained
    generation before it as teacher. Every generation is trained for the task's epochs, so a student
    of g generations costs 1 + g trainings; its own starts from the task's seed, as its undistilled
    baseline does.

    Args:
        task: The last generation's training.
        data: The data set.
        hardware: What to train on.
        reference: The teacher that students are compared with in evaluations.
        rungs: As :func:`~kdsearch.training.programs.begin_training`.
        origin: As :class:`~kdsearch.training.trainer.Trainer`.
    """

    def __init__(
        self,
        task: Task,
        data: Dataset,
        hardware: Hardware | None = None,
        reference: Reference | None = None,
        rungs: Collection[int] = (),
        origin: Network | None = None,
    ) -> None:
        self.task = task
        self._data, self._hardware, self._reference = data, hardware or Hardware(), reference
        self._rungs, self._origin = rungs, origin
        self.generation = 0
        self._teacher: Teacher | None = None
        self._trainer = self._begin(None)

    def _begin(self, teacher: Teacher | None) -> Trainer:
        self._teacher = teacher
        task = self.task
        if self.generation < task.generations:
            seed = derive(task.seed, "generation", self.generation)
            model = task.model.model_copy(update={"stored": "float32"})  # they are not shipped
            task = task.model_copy(update={"seed": seed, "model": model})
        if teacher is None:
            alone = {"method": method_config(UNDISTILLED, {}), "strong": None}
            task = task.model_copy(update=alone)
        since = range(self._before + 1, self._before + task.training.epochs + 1)
        rungs = [rung - self._before for rung in self._rungs if rung in since]
        return Trainer(
            task,
            self._data,
            teacher,
            self._hardware,
            reference=self._reference,
            rungs=rungs,
            origin=self._origin,
        )

    @property
    def student(self) -> Network:
        """The network of the present generation."""
        return self._trainer.student

    @property
    def finished(self) -> bool:
        """Whether the last generation has done all its epochs."""
        return self.generation == self.task.generations and self._trainer.finished

    def train_epoch(self) -> EpochReport:
        """Train the present generation for one epoch; epochs count on over the generations."""
        if self._trainer.finished:
            teacher = Teacher(self._trainer.student, self._hardware.device)
            self.generation += 1
            self._trainer = self._begin(teacher)
        report = self._trainer.train_epoch()
        return replace(report, epoch=self._before + report.epoch)

    @property
    def _before(self) -> int:
        """Epochs of the generations before the present one."""
        return self.generation * self.task.training.epochs

    def score_test(self) -> Scores:
        """Scores of the last generation on the test split."""
        return self._trainer.score_test()

    def state_dict(self) -> dict[str, Any]:
        """The present generation's training, and the weights of its teacher."""
        return {
            "generation": self.generation,
            "teacher": self._teacher and self._teacher.network.state_dict(),
            "trainer": self._trainer.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from :meth:`state_dict` of the same task."""
        self.generation = state["generation"]
        teacher = None
        if state["teacher"] is not None:
            network = initial_student(self.task, self._data, self._origin)
            network.load_state_dict(state["teacher"])
            teacher = Teacher(network, self._hardware.device)
        self._trainer = self._begin(teacher)
        self._trainer.load_state_dict(state["trainer"])
