"""The weights that networks begin with, checked against all that may begin with them."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from kdsearch.data import Dataset
from kdsearch.errors import CheckpointError
from kdsearch.models import build_network
from kdsearch.models.weights.sources import known_weights, load_initial
from kdsearch.space.compatibility import corners
from kdsearch.spec.concrete import ModelConfig
from kdsearch.spec.origin import KeyPath
from kdsearch.spec.study import StudySpec
from kdsearch.spec.teaching import called, teacher_path
from kdsearch.training.teacher_store import describe


def check_initial(spec: StudySpec, data: Dataset) -> list[str]:
    """Refuse weights that are missing, or do not fit every network that begins with them.

    Returns:
        What is not taken of them, in sentences.

    Raises:
        CheckpointError: The message gives the line.
    """
    told: list[str] = []
    for path, who, model, known in _beginning(spec, data):
        try:
            known_weights(model)
            with torch.random.fork_rng(devices=[]):
                network = build_network(model, known.inputs, known.outputs)
            told += load_initial(network, model, f"{who} ({describe(model)})")
        except CheckpointError as error:
            raise CheckpointError(f"{spec.place(path)}: {error}") from None
    return list(dict.fromkeys(told))


def _beginning(
    spec: StudySpec, data: Dataset
) -> Iterator[tuple[KeyPath, str, ModelConfig, Dataset]]:
    """Every network that begins with given weights: its place, name and data."""
    for name, section in spec.teachers_in_use.items():
        if section.model.weights is not None:
            known = data.of_tasks(spec.tasks_of(name))
            path = (*teacher_path(name), "model", "weights")
            yield path, f"the {called(name)}", section.model, known
    for number, students in enumerate(spec.students):
        if students.weights is not None:
            for model in corners(students):
                yield ("students", number, "weights"), "the student", model, data
