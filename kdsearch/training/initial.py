"""What a training begins with."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from kdsearch.data import Dataset, derive
from kdsearch.errors import CheckpointError, DataError
from kdsearch.methods import Objective, parse_label
from kdsearch.methods.base import WITHOUT_LOSS
from kdsearch.models import Network, build_network
from kdsearch.models.weights.sources import forget_weights, known_weights
from kdsearch.spec.concrete import InitialWeights, ModelConfig
from kdsearch.training.class_balance import task_loss
from kdsearch.training.starts import cut_start, load_start
from kdsearch.training.task import Task
from kdsearch.training.teacher import Teaching
from kdsearch.ways import fill, make_ways


def initial_student(task: Task, data: Dataset, origin: Network | None = None) -> Network:
    """The network of a task with the weights that it begins with.

    They are those that its seed gives it, those that are given, a teacher's, or those of the
    student that it goes on from; cut to its size where they are of a wider network
    (:mod:`kdsearch.training.starts`).

    Args:
        task: The task.
        data: The data set.
        origin: The trained teacher that the task names in ``model.cut_from``, or the student that
            it names as its parent.

    Raises:
        CheckpointError: The file is gone, is another one, or does not fit.
        ModelError: The network cannot be cut.
    """
    if task.model.ways:
        return _with_ways(task, data, origin)
    torch.manual_seed(task.seed)
    data = data.of_tasks(task.tasks)
    network = build_network(task.model, data.inputs, data.outputs)
    if task.model.cut_from is not None or task.parent is not None:
        assert origin is not None, "the network that the student is cut from"
        cut_start(network, origin, task.model, data)
        return network
    known = task.model.weights
    if known is not None and known.sha256 and known_weights(task.model) != known:
        raise CheckpointError(_changed(task.model, known))
    load_start(network, task.model, data)
    forget_weights()
    return network


def _with_ways(task: Task, data: Dataset, origin: Network | None) -> Network:
    """The network of a task with ways: what it would begin with without them, in their form."""
    plain = task.model.model_copy(update={"ways": ()})
    whole = initial_student(task.model_copy(update={"model": plain}), data, origin)
    known = data.of_tasks(task.tasks)
    network = build_network(task.model, known.inputs, known.outputs)
    fill(network, whole, make_ways(task.model.ways))
    return network


def _changed(model: ModelConfig, known: InitialWeights) -> str:
    if known.file is not None:
        return (
            f"{known.source} is not the file of initial weights that the study began with; restore "
            "that"
        )
    return (
        f"the weights '{known.source}' of {model.family} are not those that the study began with; "
        "copy the library's cache from the machine where it began, install the library's version "
        "of that time, or begin a new study"
    )


def origin_of(task: Task, teachers: Mapping[str, Teaching]) -> Network | None:
    """The teacher that a task's student is cut from, among the study's by name."""
    name = task.model.cut_from
    return None if name is None else teachers[name].network


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


def learnt_from(task: Task, data: Dataset) -> Tensor:
    """The places [M] of the training samples that a task learns from, on the CPU.

    Samples without any target teach nothing where nothing is distilled: there they are left out,
    so that a baseline has whole batches of the others, in as many steps.

    Raises:
        DataError: There are none.
    """
    known = data.problem.known(data.train.targets).cpu()
    if any(method.kind not in WITHOUT_LOSS for method in parse_label(task.method.label)):
        known = torch.ones_like(known)
    if not bool(known.any()):
        names = ", ".join(head.name for head in data.problem.heads)
        raise DataError(f"no training sample has a target of {names}; give some of them one")
    return known.nonzero().flatten()


def make_objective(
    task: Task, data: Dataset, student: Network, teacher: Teaching | None
) -> Objective:
    """The objective of a task; its helpers' weights follow from the task's seed.

    Raises:
        MethodError: As :class:`~kdsearch.methods.Objective`.
    """
    torch.manual_seed(derive(task.seed, "helpers"))
    learnt = data.train.targets_at(learnt_from(task, data))
    losses = [
        task_loss(task.training, learnt, data.problem, head, task.task_weight(head.name))
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
