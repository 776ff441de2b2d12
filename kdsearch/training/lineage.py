"""Students that go on from a trained one: where its weights are, and how they are read."""

from __future__ import annotations

from pathlib import Path

from kdsearch.data import Dataset
from kdsearch.errors import CheckpointError
from kdsearch.models import Network, build_network
from kdsearch.models.weights import check_weights, load_weights
from kdsearch.training.task import Parent, Task


def parent_of(task: Task) -> Parent:
    """The student that a task trains, as one that others go on from."""
    return Parent(key=task.key, model=task.model, epochs=task.lineage_epochs)


def parent_file(folder: Path, key: str) -> Path:
    """Where the weights of a student lie that others go on from.

    Args:
        folder: Of all such students of a study.
        key: Of its task.
    """
    return folder / f"{key[:16]}.safetensors"


def load_parent(task: Task, data: Dataset, file: Path) -> Network:
    """The trained student that a task goes on from.

    Args:
        task: A task with a parent.
        data: The data set.
        file: Of the parent's weights.

    Raises:
        CheckpointError: The file is missing or damaged.
    """
    assert task.parent is not None, "a task that goes on from a student"
    if wrong := check_weights(file):
        raise CheckpointError(f"the student that it goes on from is lost: {wrong}")
    data = data.of_tasks(task.tasks)
    network = build_network(task.parent.model, data.inputs, data.outputs)
    load_weights(network, file, "the student that it goes on from")
    return network
