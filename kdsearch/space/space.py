"""The conditional search space: method first, then its own values, then the student and its way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any, Protocol, cast

import numpy as np

from kdsearch.methods import (
    UNDISTILLED,
    Hyperparameter,
    method_config,
    needs_teacher,
    searched_hyperparameters,
)
from kdsearch.models.inputs import Inputs
from kdsearch.space.compatibility import NOBODY, adopting, keyed_students
from kdsearch.space.fitting import Fitting, Ways
from kdsearch.space.starts import beginning
from kdsearch.spec.concrete import Importance, Init, MethodConfig, ModelConfig, TrainingConfig
from kdsearch.spec.ranges import Choices, Range, Scalar, extremes, holds, is_searched
from kdsearch.spec.sections import SEARCHED_TRAINING
from kdsearch.spec.study import StudySpec
from kdsearch.spec.teaching import BORN_AGAIN
from kdsearch.spec.ways import NO_WAY
from kdsearch.training.recipe import Recipe
from kdsearch.ways import searched_way_values, way_configs, wider_ways

Searched = Scalar | Range | Choices

Dimensions = Mapping[str, tuple[Hyperparameter, Searched]]
"""Each hyperparameter of a method or a way with what it may be."""


class Suggester(Protocol):
    """The part of ``optuna.Trial`` that a space uses; ``FixedTrial`` has it too."""

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float: ...

    def suggest_int(
        self, name: str, low: int, high: int, *, step: int = 1, log: bool = False
    ) -> int: ...

    def suggest_categorical(self, name: str, choices: Any) -> Any: ...


class Drawing(Suggester, Protocol):
    """A :class:`Suggester` that knows what it was asked for."""

    @property
    def params(self) -> dict[str, Any]:
        """What was asked for, with its values."""


class Space:
    """What a study may propose.

    Every space holds the undistilled baseline, named in the spec or not, so that the study can say
    whether distillation helped. The names of the spec must have been checked.

    Args:
        spec: The study.
        fitting: What cannot be proposed; absent: everything can.
        inputs: Of a sample of the data, by which finalists of earlier studies fit or do not; absent
            where only parameters are asked for.
    """

    def __init__(
        self, spec: StudySpec, fitting: Fitting | None = None, inputs: Inputs | None = None
    ) -> None:
        self.spec = spec
        self.inputs = inputs
        self.fitting = fitting or Fitting()
        self.methods: dict[str, Mapping[str, Searched]] = dict(spec.methods)
        self.methods.setdefault(UNDISTILLED, {})
        self.ways: dict[str, Mapping[str, Searched]] = dict(spec.ways)
        self.students = keyed_students(spec.students)

    def drawing(self, trial: Drawing) -> Drawing:
        """What :meth:`suggest` draws from for a trial: by itself the trial."""
        return trial

    def near(
        self, tried: int, first: Sequence[Mapping[str, Any]], random: np.random.Generator
    ) -> dict[str, Any] | None:
        """Values of a trial that the sampler does not choose; by itself it chooses all.

        Args:
            tried: Trials since the first ones.
            first: The parameters of these.
            random: Draws the values.
        """
        return None

    def suggest(self, trial: Suggester) -> Recipe:
        """Draw one recipe."""
        label = _choose(trial, "method", list(self.methods))
        values = _draw_values(trial, label, self.dimensions(label))
        teacher = self._teacher(trial, label) if needs_teacher(label) else None
        model = self._student(trial, label, teacher)
        generations = self.spec.teaching.generations if teacher == BORN_AGAIN else 1
        method = method_config(label, values)
        training, weights = self._training(trial), self._task_weights(trial)
        return Recipe(model, method, training, teacher, generations, weights)

    def _task_weights(self, trial: Suggester) -> dict[str, float]:
        """The weights of several tasks, where they are not all 1."""
        drawn = {
            name: float(_draw(trial, f"task.{name}", task.weight))
            for name, task in self.spec.problem.tasks.items()
        }
        return drawn if any(weight != 1.0 for weight in drawn.values()) else {}

    def _teacher(self, trial: Suggester, label: str) -> str:
        every = list(self.spec.taught_by)
        able = self.fitting.teachers(label, every, list(self.students))
        return _choose(trial, "teacher" if able == every else f"{label}.teacher", able)

    def entry(self, trial: Suggester) -> str:
        """Which of ``students`` a recipe has that :meth:`suggest` would draw."""
        label = _choose(trial, "method", list(self.methods))
        teacher = self._teacher(trial, label) if needs_teacher(label) else None
        return self._entry(trial, label, teacher)

    def _entry(self, trial: Suggester, label: str, teacher: str | None) -> str:
        keys = list(self.students)
        able = self.fitting.students(label, teacher or NOBODY, keys)
        name = "student" if able == keys else f"{label}.{teacher or 'alone'}.student"
        return _choose(trial, name, able)

    def _student(self, trial: Suggester, label: str, teacher: str | None) -> ModelConfig:
        key = self._entry(trial, label, teacher)
        section = self.students[key]
        depth, side = section.depth, section.image_size
        if side is not None:
            side = int(_draw(trial, f"{key}.image_size", side, whole=True))
        model = ModelConfig(
            family=section.family,
            width=float(_draw(trial, f"{key}.width", section.width)),
            depth=None if depth is None else int(_draw(trial, f"{key}.depth", depth, whole=True)),
            round_to=section.round_to,
            inputs=section.inputs,
            image_size=side,
            normalise=section.normalise,
            stored=_choose(trial, f"{key}.stored", list(section.stored)),
            ways=self._way(trial, key),
        )
        init = cast(Init, _choose(trial, f"{key}.init", list(section.inits)))
        importance = None
        if init != "random" or wider_ways(model.ways):
            drawn = _choose(trial, f"{key}.importance", list(section.importance))
            importance = cast(Importance, drawn)
        model = beginning(model, init, section, self.spec, teacher, self.inputs, importance)
        given = self.spec.given_teachers.get(teacher or "")
        return model if given is None else adopting(label, model, given.model)

    def _way(self, trial: Suggester, key: str) -> Ways:
        every = list(self.ways)
        able = self.fitting.ways(key, every)
        label = _choose(trial, "way" if able == every else f"{key}.way", able)
        dimensions = searched_way_values(label, self.ways[label])
        return way_configs(label, _draw_values(trial, label, dimensions))

    def ways_of(self, key: str) -> list[str]:
        """The ways that make something of a student, the simplest first: none, if it is one."""
        return sorted(self.fitting.ways(key, list(self.ways)), key=lambda label: label != NO_WAY)

    def _training(self, trial: Suggester) -> TrainingConfig:
        section = self.spec.training
        drawn = {
            name: float(_draw(trial, name, getattr(section, name))) for name in SEARCHED_TRAINING
        }
        return TrainingConfig(**(section.model_dump() | drawn))

    def dimensions(self, label: str) -> dict[str, tuple[Hyperparameter, Searched]]:
        """Each hyperparameter of a method with what it may be: by the spec, else by the method.

        Those that change nothing in the study's tasks are left out.
        """
        return searched_hyperparameters(label, self.methods[label], self.spec.problem.kinds)

    def probes(self, label: str) -> list[MethodConfig]:
        """Configurations that stand for all of a method's: published, all lowest, all highest.

        Of a published value that its dimension does not hold, the first has the lowest.
        """
        configs = [method_config(label, values) for values in _probed(self.dimensions(label))]
        return [each for place, each in enumerate(configs) if each not in configs[:place]]

    def way_probes(self, label: str) -> list[Ways]:
        """Configurations that stand for all of a way's, as those of :meth:`probes`.

        Of one that cuts students from wider ones they are all ends: few cuts need few epochs, and a
        large factor finds channels to cut.
        """
        dimensions = searched_way_values(label, self.ways.get(label, {}))
        found = [way_configs(label, values) for values in _probed(dimensions)]
        if wider_ways(found[0]):
            ends = [map(float, dict.fromkeys(extremes(each))) for _, each in dimensions.values()]
            found += [
                way_configs(label, dict(zip(dimensions, values, strict=True)))
                for values in product(*ends)
            ]
        return list(dict.fromkeys(found))

    def published(self, label: str) -> dict[str, Any]:
        """The published values of a method as fixed parameters of a first trial."""
        fixed: dict[str, Any] = {"method": label} if len(self.methods) > 1 else {}
        for name, (declared, dimension) in self.dimensions(label).items():
            if is_searched(dimension) and holds(dimension, declared.default):
                fixed[f"{label}.{name}"] = (
                    int(declared.default) if declared.whole else declared.default
                )
        return fixed


def _probed(
    dimensions: Dimensions,
) -> tuple[dict[str, float], ...]:
    """Published values, the lowest and the highest."""
    lowest = {name: float(extremes(each)[0]) for name, (_, each) in dimensions.items()}
    highest = {name: float(extremes(each)[1]) for name, (_, each) in dimensions.items()}
    published = lowest | {
        name: declared.default
        for name, (declared, each) in dimensions.items()
        if holds(each, declared.default)
    }
    return published, lowest, highest


def _choose(trial: Suggester, name: str, options: list[str]) -> str:
    return options[0] if len(options) == 1 else trial.suggest_categorical(name, options)


def _draw_values(trial: Suggester, label: str, dimensions: Dimensions) -> dict[str, float]:
    """A value of each hyperparameter of a method or a way."""
    return {
        name: float(_draw(trial, f"{label}.{name}", dimension, declared.whole))
        for name, (declared, dimension) in dimensions.items()
    }


def _draw(trial: Suggester, name: str, dimension: Searched, whole: bool = False) -> Any:
    if isinstance(dimension, Choices):
        if len(dimension.choices) == 1:
            return dimension.choices[0]
        return trial.suggest_categorical(name, list(dimension.choices))
    if not isinstance(dimension, Range):
        return dimension
    if dimension.low == dimension.high:
        return dimension.low
    if whole:
        step = int(dimension.step or 1)
        low, high = int(dimension.low), int(dimension.high)
        return trial.suggest_int(name, low, high, step=step, log=dimension.log)
    return trial.suggest_float(
        name, dimension.low, dimension.high, step=dimension.step, log=dimension.log
    )
