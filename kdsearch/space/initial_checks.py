"""The weights that networks begin with, checked against all that may begin with them."""

from __future__ import annotations

from collections.abc import Iterator

from kdsearch.data import Dataset
from kdsearch.errors import CheckpointError, ModelError
from kdsearch.models.weights.sources import forget_weights, known_weights
from kdsearch.space.architectures import Architectures
from kdsearch.space.compatibility import Pairs, corners
from kdsearch.space.starts import beginning, origins
from kdsearch.spec.concrete import ModelConfig
from kdsearch.spec.origin import KeyPath
from kdsearch.spec.study import StudySpec
from kdsearch.spec.teaching import called, teacher_path
from kdsearch.training.starts import check_cut_start, check_start
from kdsearch.training.teacher_store import describe


def check_initial(spec: StudySpec, data: Dataset) -> list[str]:
    """Refuse weights that are missing, or do not fit every network that begins with them.

    Returns:
        What is not taken of them, in sentences.

    Raises:
        CheckpointError: The message gives the line.
        MissingExtraError: A network is to be cut, and Torch-Pruning is not installed.
        SpecError: A network cannot be cut from the one of width 1.
    """
    told: list[str] = []
    for path, who, model, known in _beginning(spec, data):
        try:
            known_weights(model)
            told += check_start(model, known, f"{who} ({describe(model)})")
        except CheckpointError as error:
            raise CheckpointError(f"{spec.place(path)}: {error}") from None
        except ModelError as error:
            raise spec.refuse(path, str(error)) from None
    forget_weights()
    return list(dict.fromkeys(told))


def check_cuts(spec: StudySpec, data: Dataset, architectures: Architectures) -> None:
    """Refuse students that are to be cut from a teacher and cannot be cut from any.

    Each family is tried at the ends of its widths, as far as they are smaller than a teacher.

    Raises:
        MissingExtraError: Torch-Pruning is not installed.
        SpecError: Students cannot be cut from a teacher of their family, or there is none.
    """
    pairs = Pairs(spec, architectures)
    for number, students in enumerate(spec.students):
        if "cut_from_teacher" not in students.inits:
            continue
        reasons = []
        # without any, the first says so
        names: list[str | None] = [*origins(spec, students)] or [None]
        for name in names:
            for corner in corners(students):
                model = beginning(corner, "cut_from_teacher", students, spec, name)
                reasons.append(pairs.unfit_start(model) or _uncut(spec, model, data))
        if all(reasons):
            raise spec.refuse(("students", number, "init"), reasons[0])


def _uncut(spec: StudySpec, model: ModelConfig, data: Dataset) -> str:
    """Why a student cannot be cut from its teacher, found out by doing it; empty where it can."""
    assert model.cut_from is not None
    known = data.of_tasks(spec.tasks_of(model.cut_from))
    try:
        check_cut_start(model, spec.given_teachers[model.cut_from].model, known)
    except ModelError as error:
        return str(error)
    return ""


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
            for corner in corners(students):
                model = beginning(corner, "pretrained", students, spec, None)
                yield ("students", number, "weights"), "the student", model, data
