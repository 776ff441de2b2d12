"""Several teachers as one that knows all tasks: each task is answered by one of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import torch

from kdsearch.data import Dataset
from kdsearch.errors import MethodError
from kdsearch.models import Signal, Signals
from kdsearch.problems import Head
from kdsearch.spec.study import StudySpec
from kdsearch.spec.teaching import BY_TASK, TEACHER
from kdsearch.training.teacher import Batch, Teaching, shapes_of_logits


@dataclass(frozen=True)
class Share:
    """What one teacher answers of a task.

    Attributes:
        teacher: Its name.
        head: The task, with its place in the output of this teacher.
    """

    teacher: str
    head: Head


class TeachersByTask(Teaching):
    """The logits of several teachers side by side, in the order of the problem's tasks.

    Outputs of teachers that were trained apart may stand side by side: logits are each task's own,
    and values are standardised by the training targets, whoever learns them.

    Args:
        teachers: The teachers by name, those of all shares among them.
        shares: Who answers each task; ``network`` is the first one's.
    """

    def __init__(self, teachers: Mapping[str, Teaching], shares: Collection[Share]) -> None:
        self._shares = tuple(shares)
        self._teachers = {share.teacher: teachers[share.teacher] for share in self._shares}
        self.network = self._teachers[self._shares[0].teacher].network
        self.shapes = shapes_of_logits(sum(share.head.size for share in self._shares))

    @property
    def inputs(self) -> frozenset[str]:
        """Names of the inputs that any of them needs."""
        asked = (self._teachers[share.teacher] for share in self._shares)
        return frozenset().union(*(teacher.inputs for teacher in asked))

    def observe(self, batch: Batch, wanted: Collection[Signal]) -> Signals:
        """The outputs [B, S] of all tasks for a batch, without gradient.

        Raises:
            MethodError: Another signal is wanted.
        """
        if set(wanted) - {Signal.LOGITS}:
            raise MethodError("teachers by task have logits alone; let one teacher teach")
        found = {name: each.observe(batch, wanted).logits for name, each in self._teachers.items()}
        columns = []
        for share in self._shares:
            logits = found[share.teacher]
            assert logits is not None
            columns.append(share.head.of(logits))
        return Signals(logits=torch.cat(columns, dim=1))


@dataclass(frozen=True)
class ByTask:
    """Who answers each task of a study, where ``by_task`` teaches or is compared with.

    Plain data, which travels between processes.

    Attributes:
        shares: In the order of the problem's tasks; empty where ``by_task`` is not used.
        compared: Whether students are compared with it, in place of the first teacher.
        answers: Whether who they are compared with answers in the classes of the data.
    """

    shares: tuple[Share, ...] = ()
    compared: bool = False
    answers: bool = True

    @classmethod
    def of(cls, spec: StudySpec, data: Dataset) -> ByTask:
        """That of a study.

        Args:
            spec: The study.
            data: Its data set, with all tasks.
        """
        if BY_TASK not in spec.all_teaching:
            return cls(answers=spec.compares_answers)
        shares = []
        for task, name in spec.answered_by.items():
            known = data.of_tasks(spec.tasks_of(name)).problem.heads
            shares.append(Share(name, next(head for head in known if head.name == task)))
        return cls(tuple(shares), spec.compared_with == BY_TASK)

    def beside(self, teachers: Mapping[str, Teaching]) -> dict[str, Teaching]:
        """The teachers by name, and ``by_task`` where it is used."""
        together = {BY_TASK: TeachersByTask(teachers, self.shares)} if self.shares else {}
        return {**teachers, **together}

    def compared_with(self, teachers: Mapping[str, Teaching]) -> Teaching | None:
        """With whose answers students are compared, if with any; other teachers may be absent."""
        if not self.answers:
            return None
        return TeachersByTask(teachers, self.shares) if self.compared else teachers[TEACHER]
