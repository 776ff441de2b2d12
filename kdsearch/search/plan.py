"""Everything about a study that can be checked before anything is written or trained."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from kdsearch.data import Dataset, load_dataset
from kdsearch.errors import CheckpointError, DataError, MethodError, ModelError
from kdsearch.methods import Hyperparameter, Objective, label_hyperparameters, method_config
from kdsearch.methods.labels import check_value
from kdsearch.models import Network, SignalShapes, Size, blueprint, measure_config
from kdsearch.search.space import Space
from kdsearch.spec.concrete import ModelConfig
from kdsearch.spec.names import suggest
from kdsearch.spec.origin import Path, dotted
from kdsearch.spec.ranges import Choices, Range, Scalar, every, extremes
from kdsearch.spec.sections import DataSection, StudentSection
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
    """Check a study: names, ranges, data, architectures, pairs, sizes, the teacher's checkpoint.

    Raises:
        SpecError: A value of the file cannot work; the message gives its line.
        DataError: The data set is missing or is not what it should be.
        CheckpointError: The teacher's checkpoint does not fit.
    """
    _check_methods(spec)
    data = _load_data(spec)
    _check_batches(spec, data)
    teacher = _meta_network(spec, ("teacher", "model"), spec.teacher.model, data)
    teacher_shapes = teacher.signal_shapes()
    space = Space(spec)
    for number, section in enumerate(spec.students):
        for model in _corners(section):
            shapes = _meta_network(spec, ("students", number), model, data).signal_shapes()
            _check_pairs(spec, space, model, shapes, teacher_shapes)
    _check_limits(spec, data)
    size = measure_config(spec.teacher.model, data.image_shape, len(data.classes))
    return Plan(spec, data, space, size, _given_teacher(spec, data))


def _check_methods(spec: StudySpec) -> None:
    for label, given in spec.methods.items():
        try:
            declared = label_hyperparameters(label)
        except MethodError as error:
            raise spec.refuse(("methods", label), str(error)) from None
        for name, dimension in given.items():
            path = ("methods", label, name)
            if not declared:
                raise spec.refuse(path, f"{label} has no hyperparameters; remove '{name}'")
            if name not in declared:
                raise spec.refuse(
                    path, f"{label} has no hyperparameter '{name}'; {suggest(name, declared)}"
                )
            _check_values(spec, path, dimension, declared[name])


def _check_values(
    spec: StudySpec, path: Path, dimension: Scalar | Range | Choices, declared: Hyperparameter
) -> None:
    label, name = str(path[1]), str(path[2])
    for value in every(dimension):
        if value < declared.minimum:
            raise spec.refuse(
                path, f"{dotted(path)} must be at least {declared.minimum:g}, not {value:g}"
            )
        try:
            check_value(label, name, declared, value)
        except MethodError as error:
            raise spec.refuse(path, str(error)) from None
    if declared.whole and isinstance(dimension, Range) and (dimension.step or 1) % 1:
        raise spec.refuse(path, f"{name} is a whole number; its step ({dimension.step:g}) is not")


def _load_data(spec: StudySpec) -> Dataset:
    try:
        return load_dataset(spec.data)
    except DataError as error:
        raise DataError(f"{spec.place(_data_setting(str(error)))}: {error}") from error


def _data_setting(reason: str) -> Path:
    """The setting that a reason names, as ``data.root`` does, else the source."""
    for name in re.findall(r"\bdata\.(\w+(?:\.\w+)*)", reason):
        path = name.split(".")
        if path[0] in DataSection.model_fields:
            return "data", *path
    return "data", "source"


def _check_batches(spec: StudySpec, data: Dataset) -> None:
    paths: tuple[tuple[Path, int], ...] = (
        (("training", "batch_size"), spec.training.batch_size),
        (("teacher", "training", "batch_size"), spec.teacher.training.batch_size),
    )
    for path, batch in paths:
        if batch > len(data.train):
            raise spec.refuse(
                path,
                f"a batch of {batch} is more than the {len(data.train)} training samples; lower it",
            )


def _corners(section: StudentSection) -> Iterator[ModelConfig]:
    """The students at the ends of a family's widths, at every depth that the space can reach."""
    widths = sorted({float(value) for value in extremes(section.width)})
    for depth in _depths(section):
        for width in widths:
            yield ModelConfig(family=section.family, width=width, depth=depth)


def _depths(section: StudentSection) -> Sequence[int | None]:
    depth = section.depth
    if depth is None:
        return [None]
    if isinstance(depth, Choices):
        return [int(value) for value in depth.choices]
    if isinstance(depth, Range):
        return range(int(depth.low), int(depth.high) + 1, int(depth.step or 1))
    return [int(depth)]


def _meta_network(spec: StudySpec, path: Path, model: ModelConfig, data: Dataset) -> Network:
    """The network without memory for its weights."""
    try:
        return blueprint(model, data.image_shape, len(data.classes))
    except ModelError as error:
        text = str(error)
        named = re.search(r"\b(depth|width)\b", text)
        raise spec.refuse((*path, named[0] if named else "family"), text) from None


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


def _check_limits(spec: StudySpec, data: Dataset) -> None:
    """Refuse size limits that no student of the space can keep."""
    limits = {
        name: limit
        for name in ("parameters", "macs", "bytes")
        if (limit := getattr(spec.search, f"max_{name}")) is not None
    }
    if not limits:
        return
    corners = (model for section in spec.students for model in _corners(section))
    sizes = [measure_config(model, data.image_shape, len(data.classes)) for model in corners]
    for name, limit in limits.items():
        smallest = min(getattr(size, name) for size in sizes)
        if smallest > limit:
            raise spec.refuse(
                ("search", f"max_{name}"),
                f"the smallest student of the space has {smallest} {name}, more than "
                f"search.max_{name} ({limit}); raise it, or allow narrower students",
            )


def _given_teacher(spec: StudySpec, data: Dataset) -> StoredTeacher | None:
    try:
        return given_teacher(spec, data)
    except CheckpointError as error:
        place = spec.place(("teacher", "checkpoint"))
        raise CheckpointError(f"{place}: {error}") from error
