"""A training as its task asks for it: with a given teacher, an average, forebears or a peer."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any, Protocol

from kdsearch.data import Dataset, derive
from kdsearch.methods import UNDISTILLED, method_config
from kdsearch.models import Network
from kdsearch.spec.teaching import AVERAGE, BORN_AGAIN, MUTUAL
from kdsearch.training.evaluation import Scores
from kdsearch.training.hardware import Hardware
from kdsearch.training.initial import initial_student, origin_of
from kdsearch.training.reports import EpochReport
from kdsearch.training.task import Task
from kdsearch.training.teacher import AveragedTeachers, Peer, Reference, Teacher, Teaching
from kdsearch.training.trainer import Trainer


class TrainingProgram(Protocol):
    """What every training offers, whoever teaches; as :class:`Trainer`, the simplest of them."""

    @property
    def student(self) -> Network:
        """The network that is shipped."""

    @property
    def finished(self) -> bool:
        """Whether all epochs are done."""

    def train_epoch(self) -> EpochReport:
        """Train for one epoch and evaluate on the validation split."""

    def score_test(self) -> Scores:
        """Scores on the test split; for finalists alone, once, after the last epoch."""

    def state_dict(self) -> dict[str, Any]:
        """All that resuming needs."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from :meth:`state_dict` of the same task."""


def begin_training(
    task: Task,
    data: Dataset,
    teachers: Mapping[str, Teaching],
    hardware: Hardware | None = None,
    reference: Reference | None = None,
    rungs: Collection[int] = (),
    parent: Network | None = None,
) -> TrainingProgram:
    """The training of a task.

    Args:
        task: What to train and who teaches.
        data: The data set.
        teachers: The study's teachers by name, and ``by_task`` where that may teach.
        hardware: What to train on.
        reference: The teacher that students are compared with in evaluations.
        rungs: As :class:`Trainer`, counted as the reports count epochs.
        parent: The trained student that the task goes on from, where it names one.

    Raises:
        KdsearchError: As :class:`Trainer`.
    """
    origin = origin_of(task, teachers) if parent is None else parent
    if task.teacher == BORN_AGAIN:
        return BornAgain(task, data, hardware, reference, rungs, origin)
    if task.teacher == MUTUAL:
        return Mutual(task, data, hardware, reference, rungs)
    teaching = teaching_of(task, teachers)
    return Trainer(task, data, teaching, hardware, reference=reference, rungs=rungs, origin=origin)


def teaching_of(task: Task, teachers: Mapping[str, Teaching]) -> Teaching | None:
    """Which of the given teachers, or their average, teaches a task; ``None`` for nobody.

    No study has both an average and ``by_task``, which would count in it twice.

    Args:
        task: A training that is not taught by its own like.
        teachers: The study's teachers by name, and ``by_task`` where that may teach.
    """
    if task.teacher == AVERAGE:
        return AveragedTeachers(list(teachers.values()))
    return None if task.teacher is None else teachers[task.teacher]


def total_epochs(task: Task) -> int:
    """Epochs of a training's reports: forebears are trained as long as the student itself."""
    return epochs_with_forebears(task.training.epochs, task.teacher, task.generations)


def epochs_with_forebears(epochs: int, teacher: str | None, generations: int) -> int:
    """Epochs of a student's training and of all forebears that its teacher asks for."""
    return epochs * (1 + generations * (teacher == BORN_AGAIN))


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
        rungs: As :func:`begin_training`.
        origin: As :class:`Trainer`.
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


class Mutual(TrainingProgram):
    """Two students of one kind that teach each other (Zhang et al. 2018, "Deep Mutual Learning").

    At every step the first learns from the second's logits and then the second from the first's
    (algorithm 1); each sees its peer with the statistics of the batch. Both see the same
    batches. The first, which starts from the task's seed, is the student; the other is left behind.

    Args:
        task: The student's training.
        data: The data set.
        hardware: What to train on.
        reference: The teacher that students are compared with in evaluations.
        rungs: As :func:`begin_training`.
    """

    def __init__(
        self,
        task: Task,
        data: Dataset,
        hardware: Hardware | None = None,
        reference: Reference | None = None,
        rungs: Collection[int] = (),
    ) -> None:
        other = task.model_copy(update={"seed": derive(task.seed, "peer")})
        hardware = hardware or Hardware()
        students = [initial_student(each, data).to(hardware.device) for each in (task, other)]
        first, second = students
        self._first = Trainer(task, data, Peer(second), hardware, None, reference, first, rungs)
        self._second = Trainer(other, data, Peer(first), hardware, None, None, second)

    @property
    def student(self) -> Network:
        """The first of the two."""
        return self._first.student

    @property
    def finished(self) -> bool:
        """Whether all epochs are done."""
        return self._first.finished

    def train_epoch(self) -> EpochReport:
        """Train both for one epoch; the report is the first one's, its time that of both."""
        start = time.perf_counter()
        self._second.begin_epoch()
        losses = []
        for step, batch in enumerate(self._first.begin_epoch()):
            losses.append(self._first.train_step(batch, step))
            self._second.train_step(batch, step)
        self._second.epoch += 1
        return self._first.end_epoch(losses, start)

    def score_test(self) -> Scores:
        """Scores of the first on the test split."""
        return self._first.score_test()

    def state_dict(self) -> dict[str, Any]:
        """The trainings of both."""
        return {"first": self._first.state_dict(), "second": self._second.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from :meth:`state_dict` of the same task."""
        self._first.load_state_dict(state["first"])
        self._second.load_state_dict(state["second"])
