"""Two students that teach each other."""

from __future__ import annotations

import time
from collections.abc import Collection
from typing import Any

from kdsearch.data import Dataset, derive
from kdsearch.models import Network
from kdsearch.training.evaluation import Scores
from kdsearch.training.hardware import Hardware
from kdsearch.training.initial import initial_student
from kdsearch.training.programs.base import TrainingProgram
from kdsearch.training.reports import EpochReport
from kdsearch.training.task import Task
from kdsearch.training.teacher import Peer, Reference
from kdsearch.training.trainer import Trainer


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
        rungs: As :func:`~kdsearch.training.programs.begin_training`.
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
