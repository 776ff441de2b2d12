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
        """The narrowest and widest students of the least and greatest depths, undistilled."""
        for number, (key, section) in enumerate(self._space.students.items()):
            for model in self.students(key):
                yield EndTraining(
                    self._task(model, method_config(UNDISTILLED, {}), None),
                    ("students", number, "family"),
                    describe(model),
                    self._architectures.size(model).macs,
                    is_own(section.family),
                )

    def students(self, key: str) -> list[ModelConfig]:
        """The ends of one family that keep the size limits of the search.

        All of them begin with what goes with most methods; one more with each other start.
        """
        section = self._space.students[key]
        first = easiest(section)
        found = list(self._beginning(section, first))
        for init in section.inits:
            if init != first:
                found += islice(self._beginning(section, init), 1)
        return found

    def _beginning(self, section: StudentSection, init: Init) -> Iterator[ModelConfig]:
        """The ends that can have one start, and keep the size limits."""
        pairs = Pairs(self._spec, self._architectures)
        for end in _ends(section):
            model = beginning(end, init, section, self._spec, None, self._architectures.inputs)
            if not pairs.unfit_start(model) and self._keeps_limits(model):
                yield model

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
                any(is_own(each.family) for each in models) or _is_own_method(label),
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


def _is_own_method(label: str) -> bool:
    return any(not term.__module__.startswith("kdsearch.") for term in parse_label(label))


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
