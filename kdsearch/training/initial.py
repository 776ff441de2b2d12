"""What a training begins with."""

from __future__ import annotations

from dataclasses import replace

import torch

from kdsearch.data import Dataset, derive
from kdsearch.errors import DataError
from kdsearch.methods import Objective, parse_label
from kdsearch.models import Network, build_network
from kdsearch.training.class_balance import task_loss
from kdsearch.training.task import Task
from kdsearch.training.teacher import Teaching


def initial_student(task: Task, data: Dataset) -> Network:
    """The network of a task with the weights that its seed gives it."""
    torch.manual_seed(task.seed)
    return build_network(task.model, data.inputs, data.of_tasks(task.tasks).outputs)


def steps_per_epoch(task: Task, data: Dataset) -> int:
    """Whole batches in the training split.

    Raises:
        DataError: There is none.
    """
    steps = len(data.train) // task.training.batch_size
    if steps == 0:
        raise DataError(
            f"{len(data.train)} training samples do not fill one batch of "
            f"{task.training.batch_size}; lower training.batch_size"
        )
    return steps


def learnt_from(task: Task, data: Dataset) -> Dataset:
    """The data with the training samples that a task learns from.

    Samples without any target teach nothing where nothing is distilled: there they are left out,
    so that a baseline has whole batches of the others, in as many steps.
    """
    known = data.problem.known(data.train.targets)
    distils = any(method.kind != "parameter" for method in parse_label(task.method.label))
    if distils or bool(known.all()):
        return data
    return replace(data, train=data.train.take(known.nonzero().flatten()))


def make_objective(
    task: Task, data: Dataset, student: Network, teacher: Teaching | None
) -> Objective:
    """The objective of a task; its helpers' weights follow from the task's seed.

    Raises:
        MethodError: As :class:`~kdsearch.methods.Objective`.
    """
    torch.manual_seed(derive(task.seed, "helpers"))
    losses = [
        task_loss(task.training, data.train, data.problem, head, task.task_weight(head.name))
        for head in data.problem.heads
    ]
    objective = Objective(
        task.method,
        student.signal_shapes(),
        teacher.shapes if teacher else None,
        losses,
        task.uncertainty,
    )
    if teacher is not None:
        objective.prepare(student, teacher.network, len(data.train))
    return objective
