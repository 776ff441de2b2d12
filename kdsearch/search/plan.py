"""Everything about a study that can be checked before anything is written or trained."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import torch

from kdsearch.data import Dataset, load_dataset
from kdsearch.errors import MethodError, ModelError
from kdsearch.methods import Objective, label_hyperparameters, method_config, parse_label
from kdsearch.models import Network, SignalShapes, Size, build_network, measure_config
from kdsearch.search.space import Space
from kdsearch.spec.concrete import ModelConfig
from kdsearch.spec.names import suggest
from kdsearch.spec.origin import Path
from kdsearch.spec.ranges import Choices, Range, extremes
from kdsearch.spec.sections import StudentSection
from kdsearch.spec.study import StudySpec
from kdsearch.training.teacher_store import StoredTeacher, given_teacher


@dataclass(frozen=True)
class Plan:
    """A study that has passed every check.

    Attributes:
        spec: The search-space file.
        data: The data set, loaded and split.
        space: What may be proposed.
        teacher_size: Size of the teacher.
        given_teacher: The teacher of ``teacher.checkpoint``, if one is given.
    """

    spec: StudySpec
    data: Dataset
    space: Space
    teacher_size: Size
    given_teacher: StoredTeacher | None


def make_plan(spec: StudySpec) -> Plan:
    """Check a study: names, ranges, data, architectures, pairs, the teacher's checkpoint.

    Raises:
        SpecError: A value of the file cannot work; the message gives its line.
        DataError: The data set is missing or is not what it should be.
        CheckpointError: The teacher's checkpoint does not fit.
    """
    _check_methods(spec)
    data = load_dataset(spec.data)
    _check_fit(spec, data)
    teacher = _meta_network(spec, ("teacher", "model"), spec.teacher.model, data)
    teacher_shapes = teacher.signal_shapes()
    space = Space(spec)
    for number, section in enumerate(spec.students):
        for path, model in _corners(section, number):
            shapes = _meta_network(spec, path, model, data).signal_shapes()
            _check_pairs(spec, space, model, shapes, teacher_shapes)
    size = measure_config(spec.teacher.model, data.image_shape, len(data.classes))
    return Plan(spec, data, space, size, given_teacher(spec, data))


def _check_methods(spec: StudySpec) -> None:
    for label, given in spec.methods.items():
        try:
            parse_label(label)
        except MethodError as error:
            raise spec.refuse(("methods", label), str(error)) from None
        declared = label_hyperparameters(label)
        for name, dimension in given.items():
            path = ("methods", label, name)
            if name not in declared:
                raise spec.refuse(
                    path, f"{label} has no hyperparameter '{name}'; {suggest(name, declared)}"
                )
            _check_values(spec, path, dimension, declared[name].minimum)


def _check_values(
    spec: StudySpec, path: Path, dimension: bool | float | str | Range | Choices, minimum: float
) -> None:
    values = dimension.choices if isinstance(dimension, Choices) else extremes(dimension)
    for value in values:
        if isinstance(value, bool | str) or value < minimum:
            raise spec.refuse(path, f"must be a number of at least {minimum:g}, not {value!r}")


def _check_fit(spec: StudySpec, data: Dataset) -> None:
    for section, batch in (
        ("training", spec.training.batch_size),
        ("teacher", spec.teacher.training.batch_size),
    ):
        if batch > len(data.train):
            path: Path = (
                ("training", "batch_size")
                if section == "training"
                else (
                    "teacher",
                    "training",
                    "batch_size",
                )
            )
            raise spec.refuse(
                path,
                f"a batch of {batch} is more than the {len(data.train)} training samples; lower it",
            )
    side = min(data.image_shape[1:])
    for name, value in (("crop", spec.data.augment.crop), ("cutout", spec.data.augment.cutout)):
        if value >= side:
            raise spec.refuse(
                ("data", "augment", name),
                f"{name} {value} does not fit pictures of {side} pixels; lower it",
            )


def _corners(section: StudentSection, number: int) -> list[tuple[Path, ModelConfig]]:
    """The students at the ends of a family's widths, at every depth that the space can reach."""
    widths = sorted({float(value) for value in extremes(section.width)})
    corners: list[tuple[Path, ModelConfig]] = []
    for width, depth in product(widths, _depths(section)):
        path: Path = ("students", number, "width")
        model = ModelConfig(family=section.family, width=width, depth=depth)
        corners.append((path, model))
    return corners


def _depths(section: StudentSection) -> list[int | None]:
    depth = section.depth
    if depth is None:
        return [None]
    if isinstance(depth, Choices):
        return [int(value) for value in depth.choices]
    if isinstance(depth, Range):
        step = int(depth.step or 1)
        return list(range(int(depth.low), int(depth.high) + 1, step))
    return [int(depth)]


def _meta_network(spec: StudySpec, path: Path, model: ModelConfig, data: Dataset) -> Network:
    """The network without memory for its weights."""
    try:
        with torch.device("meta"):
            return build_network(model, data.image_shape, len(data.classes))
    except ModelError as error:
        text = str(error)
        leaf = next((name for name in ("depth", "family", "width") if name in text), path[-1])
        place = (*path[:-1], leaf) if path[0] == "students" else (*path, leaf)
        raise spec.refuse(place, text) from None


def _check_pairs(
    spec: StudySpec, space: Space, model: ModelConfig, student: SignalShapes, teacher: SignalShapes
) -> None:
    for label in space.methods:
        try:
            with torch.device("meta"):
                Objective(method_config(label, {}), student, teacher)
        except MethodError as error:
            raise spec.refuse(
                ("methods", label), f"{error} (student {model.family}); remove one of the two"
            ) from None
