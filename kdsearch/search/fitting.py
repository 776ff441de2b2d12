"""Which methods can work on which pairs of teacher and student, known before anything trains."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import torch

from kdsearch.errors import MethodError, ModelError
from kdsearch.methods import Objective, method_config, parse_label
from kdsearch.models import SignalShapes, blueprint
from kdsearch.spec.concrete import ModelConfig
from kdsearch.spec.ranges import Choices, Range, extremes
from kdsearch.spec.sections import StudentSection
from kdsearch.spec.study import StudySpec
from kdsearch.spec.teaching import AVERAGE, BORN_AGAIN, MUTUAL
from kdsearch.training.teacher import averaged_shapes

Triple = tuple[str, str, str]
"""Label, who teaches, and the student's key in the space."""


@dataclass(frozen=True)
class Fitting:
    """What cannot be proposed.

    Attributes:
        unfit: The reason for each triple of label, teacher and student that cannot work.
    """

    unfit: Mapping[Triple, str] = field(default_factory=dict)

    def students(self, label: str, teacher: str, keys: Sequence[str]) -> list[str]:
        """Those of the students on whom a method works under a teacher."""
        return [key for key in keys if (label, teacher, key) not in self.unfit]

    def teachers(self, label: str, names: Sequence[str], keys: Sequence[str]) -> list[str]:
        """Those who can teach at least one of the students by a method."""
        return [name for name in names if self.students(label, name, keys)]


def keyed_students(students: Sequence[StudentSection]) -> dict[str, StudentSection]:
    """Students by a name for their parameters: the family, numbered when it stands twice."""
    keyed: dict[str, StudentSection] = {}
    for section in students:
        key, count = section.family, 1
        while key in keyed:
            count += 1
            key = f"{section.family}#{count}"
        keyed[key] = section
    return keyed


def corners(section: StudentSection) -> Iterator[ModelConfig]:
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


def adopting(label: str, student: ModelConfig, teacher: ModelConfig) -> ModelConfig:
    """The student as a method trains it: with the teacher's classifier where the method says so."""
    if any(term.adopts_classifier for term in parse_label(label)):
        return student.model_copy(update={"adopts": teacher})
    return student


def find_fitting(
    spec: StudySpec, labels: Sequence[str], image_shape: tuple[int, int, int], classes: int
) -> Fitting:
    """Try every method on every pair, at the corners of every family, without memory or training.

    Args:
        spec: The study; its names must have been checked.
        labels: The methods of its space.
        image_shape: (channels, height, width) of the data.
        classes: Number of classes.
    """
    shapes = _Shapes(image_shape, classes)
    unfit: dict[Triple, str] = {}
    for key, section in keyed_students(spec.students).items():
        for model in corners(section):
            for label in labels:
                for name in spec.taught_by:
                    reason = _reason(spec, label, name, model, shapes) if parse_label(label) else ""
                    if reason:
                        unfit.setdefault((label, name, key), reason)
    return Fitting(unfit)


class _Shapes:
    """Shapes of networks, each found once."""

    def __init__(self, image_shape: tuple[int, int, int], classes: int) -> None:
        self._image_shape, self.classes = image_shape, classes
        self._known: dict[str, SignalShapes] = {}

    def of(self, model: ModelConfig) -> SignalShapes:
        key = model.model_dump_json()
        if key not in self._known:
            network = blueprint(model, self._image_shape, self.classes)
            self._known[key] = network.signal_shapes()
        return self._known[key]


def _reason(spec: StudySpec, label: str, teacher: str, model: ModelConfig, shapes: _Shapes) -> str:
    """Why a method cannot work on a pair; empty where it can."""
    terms = parse_label(label)
    for term in terms:
        if term.by_sample and spec.data.augment.mixup:
            return f"{term.name} remembers pictures one by one, and data.augment.mixup blends them"
        takes = term.adopts_classifier or term.kind == "parameter"
        if takes and teacher in (AVERAGE, BORN_AGAIN, MUTUAL):
            return f"{term.name} takes over weights of one given teacher"
    try:
        if teacher in (BORN_AGAIN, MUTUAL):
            student = theirs = shapes.of(model)
        elif teacher == AVERAGE:
            student, theirs = shapes.of(model), averaged_shapes(shapes.classes)
        else:
            given = spec.given_teachers[teacher].model
            student, theirs = shapes.of(adopting(label, model, given)), shapes.of(given)
        with torch.device("meta"):
            Objective(method_config(label, {}), student, theirs)
    except (MethodError, ModelError) as error:
        return str(error)
    return ""
