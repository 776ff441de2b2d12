"""The trainings at the ends of a space: its smallest and largest networks, and each method once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, product

from kdsearch.methods import UNDISTILLED, method_config, parse_label
from kdsearch.models import Signal
from kdsearch.models.user_models import is_own
from kdsearch.space.architectures import Architectures
from kdsearch.space.compatibility import NOBODY, Pairs, adopting, corners, who_teaches
from kdsearch.space.space import Space
from kdsearch.space.starts import beginning, easiest
from kdsearch.spec.concrete import Init, MethodConfig, ModelConfig, TrainingConfig
from kdsearch.spec.origin import KeyPath
from kdsearch.spec.ranges import extremes
from kdsearch.spec.searching import FILE_SIZES
from kdsearch.spec.sections import SEARCHED_TRAINING, StudentSection
from kdsearch.spec.study import StudySpec
from kdsearch.spec.teaching import called
from kdsearch.training.recipe import Recipe
from kdsearch.training.task import Task
from kdsearch.training.teacher_store import describe
from kdsearch.ways import parse_ways


@dataclass(frozen=True)
class EndTraining:
    """A training at an end of a space.

    Attributes:
        task: What is trained.
        path: The setting that an error points at.
        what: What it is in a sentence.
        macs: Multiply-accumulates of a sample in student and teacher.
        own: Whether a part of it is the user's code.
    """

    task: Task
    path: KeyPath
    what: str
    macs: float
    own: bool


class Ends:
    """Finds the trainings that stand for all of a space.

    Args:
        spec: The study.
        space: What may be proposed.
        architectures: Sizes and shapes of its networks.
    """

    def __init__(self, spec: StudySpec, space: Space, architectures: Architectures) -> None:
        self._spec, self._space, self._architectures = spec, space, architectures

    def networks(self) -> Iterator[EndTraining]:
        """The narrowest and widest students of the least and greatest depths, undistilled, and one
        with each way."""
        for number, (key, section) in enumerate(self._space.students.items()):
            for model in self.students(key):
                yield self._alone(model, ("students", number, "family"), is_own(section.family))
            for label, model in self._with_other_ways(key):
                own = is_own(section.family) or are_own(parse_ways(label))
                yield self._alone(model, ("ways", label), own)

    def _alone(self, model: ModelConfig, path: KeyPath, own: bool) -> EndTraining:
        task = self._task(model, method_config(UNDISTILLED, {}), None)
        macs = self._architectures.size(model).macs
        return EndTraining(task, path, describe(model), macs, own)

    def students(self, key: str) -> list[ModelConfig]:
        """The ends of one family that keep the size limits of the search.

        All of them begin with what goes with most methods, and have the simplest way; one more
        with each other start.
        """
        section = self._space.students[key]
        first, (label, *_) = easiest(section), self._space.ways_of(key)
        found = list(self._beginning(key, first, label))
        for init in section.inits:
            if init != first:
                found += islice(self._beginning(key, init, label), 1)
        return found

    def _with_other_ways(self, key: str) -> Iterator[tuple[str, ModelConfig]]:
        """A student with each way but the simplest, and the way's label."""
        first, (_, *others) = easiest(self._space.students[key]), self._space.ways_of(key)
        for label in others:
            for model in islice(self._beginning(key, first, label), 1):
                yield label, model

    def _beginning(self, key: str, init: Init, label: str) -> Iterator[ModelConfig]:
        """The ends that can have one start and one way, and keep the size limits."""
        section = self._space.students[key]
        pairs = Pairs(self._spec, self._architectures)
        for end in _ends(section):
            for ways in self._space.way_probes(label):
                plain = end.model_copy(update={"ways": ways})
                inputs = self._architectures.inputs
                model = beginning(plain, init, section, self._spec, None, inputs)
                if not pairs.unfit_start(model) and self._keeps_limits(model):
                    yield model
                    break

    def _keeps_limits(self, model: ModelConfig) -> bool:
        return all(
            getattr(self._architectures.size(model), name) <= most
            for name, most in self._spec.search.limits.items()
            if name not in FILE_SIZES
        )

    def pairs(self) -> Iterator[EndTraining]:
        """Each method once, each way of teaching once, and on each student all that is read."""
        met: set[object] = set()
        methods = [
            (teacher, label)
            for label in self._spec.methods
            for teacher in who_teaches(self._spec, label)
        ]
        for key, (teacher, label) in product(self._space.students, methods):
            kinds = {label, (teacher,), (key, signals_of_label(label))}
            unfit = label == UNDISTILLED or (label, teacher, key) in self._space.fitting.unfit
            if unfit or kinds <= met:
                continue
            if (found := self._pair(key, teacher, label)) is not None:
                met |= kinds
                yield found

    def _pair(self, key: str, teacher: str, label: str) -> EndTraining | None:
        """A method on the first student of a family and with the first values that fit."""
        pairs = Pairs(self._spec, self._architectures)
        for model, method in product(self.students(key), self._space.probes(label)):
            if pairs.reason(method, teacher, model):
                continue
            given = self._spec.given_teachers.get(teacher)
            student = model if given is None else adopting(label, model, given.model)
            models = [student] if given is None else [student, given.model]
            by_whom = teacher if given is None else f"the {called(teacher)}"
            of = f" of {by_whom}" if teacher != NOBODY else ""
            return EndTraining(
                self._task(student, method, teacher or None),
                ("methods", label),
                f"{label}{of} on {describe(model)}",
                sum(self._architectures.size(each).macs for each in models),
                any(is_own(each.family) for each in models) or are_own(parse_label(label)),
            )
        return None

    def _task(self, model: ModelConfig, method: MethodConfig, teacher: str | None) -> Task:
        section = self._spec.training
        lowest = {name: extremes(getattr(section, name))[0] for name in SEARCHED_TRAINING}
        training = TrainingConfig(**(section.model_dump() | lowest))
        return Recipe(model, method, training, teacher).task(self._spec, 0)


def signals_of_label(label: str) -> frozenset[Signal]:
    """The signals that the terms of a label read, of students or teachers."""
    return frozenset(
        signal for term in parse_label(label) for signal in term.signals | term.teacher_signals
    )


def are_own(parts: Sequence[type]) -> bool:
    """Whether one of the methods or ways is the user's."""
    return any(not part.__module__.startswith("kdsearch.") for part in parts)


def _ends(section: StudentSection) -> Sequence[ModelConfig]:
    """The least and greatest widths at the least and greatest depths, the smallest first."""
    models = list(corners(section))
    shallow = [each for each in models if each.depth == models[0].depth]
    return list(dict.fromkeys([*shallow, *models[-len(shallow) :]]))


def wanted_of(trainings: Sequence[EndTraining]) -> Mapping[str, frozenset[Signal]]:
    """The signals that are read of each who teaches, by name."""
    found: dict[str, frozenset[Signal]] = {}
    for each in trainings:
        name = each.task.teacher or ""
        found[name] = found.get(name, frozenset()) | signals_of_label(each.task.method.label)
    return found
