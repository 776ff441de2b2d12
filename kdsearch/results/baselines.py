"""The baselines of a front's members, each tuned before it is compared with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import product

from kdsearch.results.cost import CostOf
from kdsearch.results.record import Phase, TrialRecord
from kdsearch.results.sweep import (
    Known,
    PlannedTraining,
    Sweep,
    baseline_methods,
    published_values,
    searched_weights,
    sweep_points,
)
from kdsearch.spec.concrete import ModelConfig
from kdsearch.spec.sections import SEARCHED_TRAINING
from kdsearch.spec.study import StudySpec
from kdsearch.training.recipe import Recipe
from kdsearch.training.task import Task

LEAST = 2
"""Configurations that a baseline is tried with at least, beside the finalist's own."""

Plan = Callable[[Phase, Sequence[Task]], list[PlannedTraining]]
"""Makes trainings of tasks, each once, with their numbers."""


class Baselines:
    """The undistilled students of a front's members, and their tuning.

    Members that share a student share the baseline; a member that nobody teaches or adapts is its
    own, and has none here. Where the study names other methods that need no teacher, such as
    ``pseudo_label``, each of them is tuned alike, its own values too, and the baseline is the one
    that validates best.

    Args:
        spec: The study.
        members: Members of the validation front.
        searched: The trials of the search.
        plan: Numbers trainings.

    Attributes:
        students: Of each baseline.
        members: The members that share each of them, in the same order.
        sweeps: The tuning of each, by its student and its method; it never sees the test.
    """

    def __init__(
        self,
        spec: StudySpec,
        members: Sequence[TrialRecord],
        searched: Sequence[TrialRecord],
        plan: Plan,
    ) -> None:
        self._spec = spec
        tried = Counter(record.task.method.label for record in searched)
        sharing: dict[ModelConfig, list[TrialRecord]] = {}
        for member in members:
            if not member.task.is_baseline:
                sharing.setdefault(self.student_of(member), []).append(member)
        self.students = list(sharing)
        self.members = list(sharing.values())
        self._methods = baseline_methods(spec)
        self.sweeps: dict[tuple[ModelConfig, str], Sweep] = {}
        self._tuned: dict[tuple[ModelConfig, str], TrialRecord] = {}
        for (student, group), label in product(sharing.items(), self._methods):
            tasks = self._tuning(group, tried, label)
            self.sweeps[student, label] = Sweep(
                plan("baselines", tasks), spec, len(self._methods) > 1
            )
            self._tuned[student, label] = group[0].model_copy(update={"task": tasks[0]})

    def student_of(self, member: TrialRecord) -> ModelConfig:
        """The network of a member's baseline."""
        return self._plain(member).model

    @property
    def trainings(self) -> list[PlannedTraining]:
        """Those of all sweeps."""
        return [each for sweep in self.sweeps.values() for each in sweep.trainings]

    def due(self, known: Known) -> list[PlannedTraining]:
        """The trainings that the next decision of a sweep waits for."""
        return [each for sweep in self.sweeps.values() for each in sweep.due(known)]

    def tuned(self, student: ModelConfig, known: Known) -> Task | None:
        """The task of a baseline as its sweeps have tuned it; ``None`` before these are over.

        Of several methods it has the one that is best on validation, the first among equals.
        """
        sweeps = [self.sweeps[student, label] for label in self._methods]
        if any(sweep.due(known) for sweep in sweeps):
            return None
        if len(sweeps) > 1:
            sweeps = sorted(sweeps, key=lambda sweep: sweep.loss(known))
        return sweeps[0].best(known)

    def sweeps_cost(self, cost_of: CostOf) -> float:
        """What the sweeps cost, if no training fails."""
        return sum(cost_of(self._tuned[of], sweep.epochs) for of, sweep in self.sweeps.items())

    def dearest(self, student: ModelConfig) -> Iterator[TrialRecord]:
        """A baseline's training by each method that it may have."""
        return (self._tuned[student, label] for label in self._methods)

    def _plain(self, member: TrialRecord) -> Recipe:
        return Recipe.from_scratch(self._spec, member.task).undistilled()

    def _tuning(
        self, sharing: Sequence[TrialRecord], tried: Counter[str], label: str
    ) -> list[Task]:
        """What a baseline is tried with: its members' own rate and such, and points of the box.

        With its members' own rate the method ``label`` has its published values.
        """
        plain = self._plain(sharing[0])
        tasks, settings = searched_weights(self._spec), len(SEARCHED_TRAINING)
        published = published_values(self._spec, label)
        own = [
            (
                *(float(getattr(each.task.training, name)) for name in SEARCHED_TRAINING),
                *(each.task.task_weight(name) for name in tasks),
                *published.values(),
            )
            for each in sharing
        ]
        most = max(LEAST, *(tried[each.task.method.label] for each in sharing))
        found = []
        for point in dict.fromkeys([*own, *sweep_points(self._spec, most, label)]):
            rest = iter(point[settings:])
            weights = {name: next(rest) for name in tasks}
            recipe = plain.undistilled(label, dict(zip(published, rest, strict=True)))
            found.append(recipe.tuned(*point[:settings], task_weights=weights).task(self._spec, 0))
        return found
