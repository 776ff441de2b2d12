"""What a training begins with."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor

from kdsearch.data import Dataset, derive
from kdsearch.errors import CheckpointError, DataError
from kdsearch.files import checksum
from kdsearch.methods import Objective, parse_label
from kdsearch.models import Network, build_network
from kdsearch.models.weights import load_weights
from kdsearch.models.weights.sources import source_file
from kdsearch.spec.concrete import InitialWeights, ModelConfig
from kdsearch.spec.origin import dotted
from kdsearch.spec.study import StudySpec
from kdsearch.training.class_balance import task_loss
from kdsearch.training.task import Task
from kdsearch.training.teacher import Teaching


def initial_student(task: Task, data: Dataset) -> Network:
    """The network of a task with the weights that its seed gives it, or those of a file.

    Raises:
        CheckpointError: The file is gone, is another one, or does not fit.
    """
    torch.manual_seed(task.seed)
    network = build_network(task.model, data.inputs, data.of_tasks(task.tasks).outputs)
    file = source_file(task.model)
    if file is not None:
        if read_initial(task.model) != task.model.weights:
            raise CheckpointError(
                f"{file} is not the file of initial weights that the study began with; restore that"
            )
        load_weights(network, file, "the network that begins with it")
    return network


def read_initial(model: ModelConfig) -> InitialWeights | None:
    """A model's initial weights with the checksum of their file, for any working directory.

    Raises:
        CheckpointError: The file cannot be read, or the family has no such weights.
    """
    file = source_file(model)
    if file is None:
        return None
    try:
        return InitialWeights(source=str(file), sha256=_checksum(file, file.stat().st_mtime_ns))
    except OSError as error:
        raise CheckpointError(
            f"the initial weights {file} cannot be read ({error.strerror}); correct the path, and "
            "put the file on storage that all nodes share"
        ) from error


def with_checksum(model: ModelConfig) -> ModelConfig:
    """A model whose initial weights, if any, are known by the checksum of their file.

    Raises:
        CheckpointError: The file cannot be read.
    """
    if model.weights is None or model.weights.sha256:
        return model
    return model.model_copy(update={"weights": read_initial(model)})


def initial_sums(spec: StudySpec) -> dict[str, str]:
    """The checksum of each file that a network of a study begins with, by its setting."""
    given = spec.with_weights.items()
    return {dotted(place): read.sha256 for place, each in given if (read := read_initial(each))}


@lru_cache(maxsize=16)
def _checksum(file: Path, changed: int) -> str:
    """Of a file as it was when it was last changed."""
    return checksum(file)


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
    if any(method.kind != "parameter" for method in parse_label(task.method.label)):
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
