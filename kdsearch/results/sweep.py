"""The tuning of a baseline: successive halving over what of its training is searched."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from kdsearch.data import derive
from kdsearch.errors import MethodError
from kdsearch.methods import (
    UNDISTILLED,
    Hyperparameter,
    is_baseline,
    searched_hyperparameters,
)
from kdsearch.results.objectives import Objectives
from kdsearch.results.record import Phase, TrialRecord
from kdsearch.spec.ranges import Choices, Dimension, Range, extremes, holds, is_searched
from kdsearch.spec.searching import SchedulerSection
from kdsearch.spec.sections import SEARCHED_TRAINING
from kdsearch.spec.study import StudySpec
from kdsearch.training.reports import AVERAGED
from kdsearch.training.task import Task

Known = Mapping[str, TrialRecord]
"""Trainings that have ended or are paused, by the key of their task."""


@dataclass(frozen=True)
class PlannedTraining:
    """One training that judges; its phase is ``baselines`` in a sweep, else ``finalists``."""

    number: int
    phase: Phase
    task: Task
    key: str


def rung_epochs(epochs: int, fractions: Sequence[float], forebears: int = 0) -> tuple[int, ...]:
    """The epochs of a training's reports after which it is compared, never the last.

    ``fractions``, each in (0, 1), are shares of the ``epochs`` of the student's own training; those
    of its ``forebears`` come before them and do not tell how good it will be.
    """
    return tuple(sorted(rung_places(epochs, fractions, forebears)))


def rung_places(epochs: int, fractions: Sequence[float], forebears: int = 0) -> dict[int, int]:
    """The same, each with its place among the fractions: the last of those that round alike."""
    marks = {max(1, round(epochs * each)): place for place, each in enumerate(fractions)}
    return {forebears + mark: place for mark, place in marks.items() if mark < epochs}


def _going_on(count: int, scheduler: SchedulerSection) -> int:
    """How many of so many go on: ``1 / reduction`` of them, rounded down, but at least one."""
    return max(1, math.floor(count / scheduler.reduction))


def sweep_epochs(count: int, epochs: int, scheduler: SchedulerSection) -> int:
    """Epochs of a sweep over so many configurations; none over one, which needs no choice."""
    total, before = 0, 0
    for until in (*rung_epochs(epochs, scheduler.rungs), epochs) if count > 1 else ():
        total += count * (until - before)
        before, count = until, _going_on(count, scheduler)
    return total


def searched_weights(spec: StudySpec) -> tuple[str, ...]:
    """The tasks the weights of whose losses are searched."""
    return tuple(name for name, task in spec.problem.tasks.items() if is_searched(task.weight))


def baseline_methods(spec: StudySpec) -> tuple[str, ...]:
    """The methods of a study that are baselines, ``none`` first: each is tuned as one.

    A method of the user's own that is not found where a study is only looked at counts as none.
    """
    found = [UNDISTILLED]
    for label in spec.methods:
        with suppress(MethodError):
            found += [label] if is_baseline(label, spec.target is not None) else []
    return tuple(dict.fromkeys(found))


def values_of(spec: StudySpec, label: str) -> dict[str, tuple[Hyperparameter, Dimension]]:
    """The values of a method with what the search draws them from."""
    return searched_hyperparameters(label, spec.methods.get(label, {}), spec.problem.kinds)


def published_values(spec: StudySpec, label: str) -> dict[str, float]:
    """The published values of a method, of each that its dimension holds, else its lowest."""
    return {
        name: float(declared.default if holds(given, declared.default) else extremes(given)[0])
        for name, (declared, given) in values_of(spec, label).items()
    }


def sweep_points(spec: StudySpec, count: int, label: str = UNDISTILLED) -> list[tuple[float, ...]]:
    """Values of ``SEARCHED_TRAINING`` from the box that the search had, spread evenly over it.

    Those of :func:`searched_weights` come behind them, and then those of the method ``label``, by
    :func:`values_of`.

    They are the first ``count`` of a Halton sequence, scrambled by the study's seed; what is not
    searched stays as it is. Points that choices make equal are there once.
    """
    from scipy.stats import qmc  # late, as it takes a second, and no trial needs it

    training = spec.training
    # rate and decay alone where the smoothing is fixed: a third dimension would move the points
    names: tuple[str, ...] = SEARCHED_TRAINING
    if not is_searched(training.label_smoothing):
        names = SEARCHED_TRAINING[:2]
    weights = {name: spec.problem.tasks[name].weight for name in searched_weights(spec)}
    values = values_of(spec, label)
    names += tuple(weights)
    names += tuple(f"{label}.{name}" for name, (_, given) in values.items() if is_searched(given))
    units = qmc.Halton(len(names), rng=derive(spec.study.seed, "baselines")).random(count)
    drawn = [dict(zip(names, unit, strict=True)) for unit in units]
    points = [
        (
            *(_value(getattr(training, name), unit.get(name, 0.0)) for name in SEARCHED_TRAINING),
            *(_value(weight, unit[name]) for name, weight in weights.items()),
            *(
                _whole(_value(dimension, unit.get(f"{label}.{name}", 0.0)), declared)
                for name, (declared, dimension) in values.items()
            ),
        )
        for unit in drawn
    ]
    return list(dict.fromkeys(points))


def _whole(value: float, declared: Hyperparameter) -> float:
    return float(round(value)) if declared.whole else value


def _value(dimension: float | Range | Choices, unit: float) -> float:
    """The value at a place in [0, 1) of a dimension."""
    if isinstance(dimension, Choices):
        return float(dimension.choices[int(unit * len(dimension.choices))])
    if not isinstance(dimension, Range):
        return float(dimension)
    low, high = dimension.low, dimension.high
    if dimension.step is not None:
        steps = round((high - low) / dimension.step)
        return float(low + dimension.step * int(unit * (steps + 1)))
    if dimension.log:
        return float(low * (high / low) ** unit)
    return float(low + (high - low) * unit)


class Sweep:
    """Trainings of one student among which the best is chosen on validation.

    All are paused at the rungs of ``search.scheduler``. Once all have come to a rung, the best
    ``1 / reduction`` of them, at least one, go on (Jamieson & Talwalkar 2016, "Non-stochastic Best
    Arm Identification and Hyperparameter Optimization"); the next best takes the place of one that
    fails. So the choice is the same at any speed.

    Args:
        trainings: The trainings; one alone is chosen without being trained.
        spec: Says what is compared, where, and how many go on.
        compared: Whether the choice is compared with others, so that one alone is trained too.
    """

    def __init__(
        self, trainings: Sequence[PlannedTraining], spec: StudySpec, compared: bool = False
    ) -> None:
        alone = len(trainings) == 1 and not compared
        self.trainings = [] if alone else list(trainings)
        self._only = trainings[0] if alone else None
        self._scheduler = spec.search.scheduler
        self._objectives = Objectives.of(spec)
        self._epochs = trainings[0].task.training.epochs
        self.rungs = rung_epochs(self._epochs, self._scheduler.rungs)

    @property
    def averaged(self) -> tuple[int, ...]:
        """Epochs after which averaged weights are scored."""
        return self.rungs if self._scheduler.score == "ema" else ()

    @property
    def epochs(self) -> int:
        """Epochs of all trainings, if none fails."""
        if len(self.trainings) == 1:
            return self._epochs
        return sweep_epochs(len(self.trainings), self._epochs, self._scheduler)

    def due(self, known: Known) -> list[PlannedTraining]:
        """The trainings that the next decision waits for; none once the choice is made."""
        return self._course(known)[0]

    def loss(self, known: Known) -> float:
        """What the choice costs on validation after its whole training; infinite without one."""
        due, left = self._course(known)
        if due or not left:
            return math.inf
        return self._objectives.loss(known[left[0].key].epochs[-1])

    def best(self, known: Known) -> Task | None:
        """The task that is chosen; ``None`` before the sweep is over, or where all have failed."""
        if self._only is not None:
            return self._only.task
        due, left = self._course(known)
        return left[0].task if left and not due else None

    def _course(self, known: Known) -> tuple[list[PlannedTraining], list[PlannedTraining]]:
        """Who must come to the next rung yet, and who goes there; at the end, who is chosen."""
        left = self.trainings
        for until in (*self.rungs, self._epochs):
            due = [each for each in left if not _has_come(known.get(each.key), until)]
            if due:
                return due, left
            left = self._ordered(left, until, known)[: _going_on(len(left), self._scheduler)]
        return [], left[:1]

    def _ordered(
        self, trainings: Sequence[PlannedTraining], until: int, known: Known
    ) -> list[PlannedTraining]:
        """Those that have not failed, the best after so many epochs first."""
        prefix = AVERAGED if self._scheduler.score == "ema" and until < self._epochs else ""

        def loss(training: PlannedTraining) -> float:
            return self._objectives.loss(known[training.key].epochs[until - 1], prefix)

        return sorted((each for each in trainings if known[each.key].status != "failed"), key=loss)


def _has_come(record: TrialRecord | None, until: int) -> bool:
    return record is not None and record.has_come_to(until)
