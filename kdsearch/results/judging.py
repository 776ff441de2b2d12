"""Which trainings judge the front's members: their own, and those of a baseline tuned as well."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import count, product

from kdsearch.methods import UNDISTILLED
from kdsearch.results.cost import CostOf
from kdsearch.results.finalists import Finalist
from kdsearch.results.objectives import Objectives
from kdsearch.results.record import Phase, TrialRecord
from kdsearch.results.sweep import (
    Known,
    PlannedTraining,
    Sweep,
    baseline_methods,
    published_values,
    searched_weights,
    sweep_epochs,
    sweep_points,
)
from kdsearch.spec.concrete import ModelConfig
from kdsearch.spec.sections import SEARCHED_TRAINING
from kdsearch.spec.study import StudySpec
from kdsearch.training.programs import total_epochs
from kdsearch.training.recipe import Recipe
from kdsearch.training.task import Task

LEAST = 2
"""Configurations that a baseline is tried with at least, beside the finalist's own."""


class Judging:
    """The trainings that judge the members of a front.

    The learning rate of a trial was searched together with its method's weights, which scale the
    gradient. The same rate without a teacher would be a straw man, so a baseline, which is the same
    student under the same number of epochs, is first tuned with one seed: by a :class:`Sweep` of as
    many configurations as the member's method had trials in the search, and of the member's own.
    Members that share a student share the baseline; a member that nobody teaches or adapts is its
    own.

    Where the study names other methods that need no teacher, such as ``pseudo_label``, each of them
    is tuned alike, its own values too, and the baseline is the one that validates best.

    Args:
        spec: The study.
        members: Members of the validation front.
        searched: The trials of the search.
        known: Trainings that have ended or are paused; they keep their numbers.

    Attributes:
        spec: The study.
        runs: The members' trainings, one a seed.
        sweeps: The tuning of each baseline, by its student and its method; it never sees the test.
    """

    def __init__(
        self,
        spec: StudySpec,
        members: Sequence[TrialRecord],
        searched: Sequence[TrialRecord],
        known: Known,
    ) -> None:
        self.spec = spec
        self._members = list(members)
        self._numbers = {key: record.number for key, record in known.items()}
        taken = set(self._numbers.values())
        self._free = (number for number in count() if number not in taken)
        tried = Counter(record.task.method.label for record in searched)
        sharing: dict[ModelConfig, list[TrialRecord]] = {}
        for member in members:
            if not member.task.is_baseline:
                sharing.setdefault(_plain(member).model, []).append(member)
        self._students = list(sharing)
        self._methods = baseline_methods(spec)
        self.sweeps: dict[tuple[ModelConfig, str], Sweep] = {}
        self._tuned: dict[tuple[ModelConfig, str], TrialRecord] = {}
        for (student, group), label in product(sharing.items(), self._methods):
            tasks = self._tuning(group, tried, label)
            trainings = self._trainings("baselines", tasks)
            self.sweeps[student, label] = Sweep(trainings, spec, len(self._methods) > 1)
            self._tuned[student, label] = group[0].model_copy(update={"task": tasks[0]})
        own = [task for member in members for task in self._seeded(Recipe.of(member.task))]
        self.runs = self._trainings("finalists", own)

    @property
    def total(self) -> int:
        """Trainings in all, those of sweeps that are stopped at a rung included."""
        swept = sum(len(sweep.trainings) for sweep in self.sweeps.values())
        return swept + len(self.runs) + len(self._students) * self.spec.finalists.seeds

    @property
    def epochs(self) -> float:
        """Epochs of all trainings, if none fails."""
        return self.cost(lambda record, epochs: epochs)

    def cost(self, cost_of: CostOf) -> float:
        """What all of it costs, by the predicted cost of each training."""
        seeds = self.spec.finalists.seeds
        own = sum(seeds * cost_of(each, total_epochs(each.task)) for each in self._members)
        once = seeds * self.spec.training.epochs
        swept = sum(cost_of(self._tuned[of], sweep.epochs) for of, sweep in self.sweeps.items())
        seeded = (
            max(cost_of(self._tuned[student, label], once) for label in self._methods)
            for student in self._students
        )
        return own + swept + sum(seeded)

    def baselines(self, known: Known) -> list[PlannedTraining]:
        """The baselines' trainings, one a seed, once all sweeps are over."""
        if any(sweep.due(known) for sweep in self.sweeps.values()):
            return []
        tasks = [task for student in self._students for task in self._baseline(student, known)]
        return self._trainings("finalists", tasks)

    def due(self, known: Known) -> list[PlannedTraining]:
        """What can be trained now: sweeps up to their next rungs first, the baselines last."""
        swept = [each for sweep in self.sweeps.values() for each in sweep.due(known)]
        whole = [*self.runs, *self.baselines(known)]
        return swept + [each for each in whole if not _has_ended(known.get(each.key))]

    def done(self, known: Known) -> list[TrialRecord]:
        """Those of the known trainings that count here; a study that was extended has others."""
        swept = [each for sweep in self.sweeps.values() for each in sweep.trainings]
        wanted = {each.key: each for each in (*swept, *self.runs, *self.baselines(known))}
        return [known[key] for key in wanted if key in known]

    def finalists(self, known: Known) -> list[Finalist]:
        """The members with those of their trainings, and of their baselines', that are complete."""
        found, objectives = [], Objectives.of(self.spec)
        for member in self._members:
            own = self._seeded(Recipe.of(member.task))
            student = _plain(member).model
            baseline = own
            if not member.task.is_baseline:
                baseline = self._baseline(student, known)
            runs = _complete(own, known), _complete(baseline, known)
            found.append(Finalist(member, *runs, objectives))
        return found

    def _tuning(
        self, sharing: Sequence[TrialRecord], tried: Counter[str], label: str
    ) -> list[Task]:
        """What a baseline is tried with: its members' own rate and such, and points of the box.

        With its members' own rate the method ``label`` has its published values.
        """
        plain = _plain(sharing[0])
        tasks, settings = searched_weights(self.spec), len(SEARCHED_TRAINING)
        published = published_values(self.spec, label)
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
        for point in dict.fromkeys([*own, *sweep_points(self.spec, most, label)]):
            rest = iter(point[settings:])
            weights = {name: next(rest) for name in tasks}
            recipe = plain.undistilled(label, dict(zip(published, rest, strict=True)))
            found.append(recipe.tuned(*point[:settings], task_weights=weights).task(self.spec, 0))
        return found

    def _baseline(self, student: ModelConfig, known: Known) -> list[Task]:
        """Trainings of a baseline as its sweeps have tuned it; none before these are over.

        Of several methods it has the one that is best on validation, the first among equals.
        """
        sweeps = [self.sweeps[student, label] for label in self._methods]
        if any(sweep.due(known) for sweep in sweeps):
            return []
        if len(sweeps) > 1:
            sweeps = sorted(sweeps, key=lambda sweep: sweep.loss(known))
        best = sweeps[0].best(known)
        return [] if best is None else self._seeded(Recipe.of(best))

    def _seeded(self, recipe: Recipe) -> list[Task]:
        seeds = range(1, self.spec.finalists.seeds + 1)
        return [recipe.task(self.spec, seed) for seed in seeds]

    def _trainings(self, phase: Phase, tasks: Sequence[Task]) -> list[PlannedTraining]:
        """The trainings of tasks, each once, with their numbers."""
        found = {task.key: task for task in tasks}
        for key in found:
            if key not in self._numbers:
                self._numbers[key] = next(self._free)
        return [
            PlannedTraining(self._numbers[key], phase, task, key) for key, task in found.items()
        ]


def affordable(
    spec: StudySpec,
    searched: Sequence[TrialRecord],
    choose: Callable[[int], list[TrialRecord]],
    share: float,
    cost_of: CostOf,
) -> list[TrialRecord]:
    """As many finalists as a share of what the search has cost allows, at least one.

    Args:
        spec: The study.
        searched: The trials of the search.
        choose: Chooses at most so many of them.
        share: What judging them may cost, as a share of the search.
        cost_of: Predicts both.
    """
    chosen = choose(spec.finalists.max)
    spent = sum(cost_of(each, len(each.epochs)) for each in searched)
    while len(chosen) > 1 and Judging(spec, chosen, searched, {}).cost(cost_of) > share * spent:
        chosen = choose(len(chosen) - 1)
    return chosen


def planned_trainings(spec: StudySpec) -> float:
    """Whole trainings that judge at most, where each method has an equal part of the trials."""
    each = math.ceil(spec.search.trials / len({*spec.methods, UNDISTILLED}))
    labels, epochs, swept = baseline_methods(spec), spec.training.epochs, 0.0
    for label in labels:
        points = len(sweep_points(spec, max(LEAST, each), label))
        tried = points + 1 if points > 1 else 1  # the finalist's own is one more
        alone = epochs if tried == 1 and len(labels) > 1 else 0
        swept += (alone + sweep_epochs(tried, epochs, spec.search.scheduler)) / epochs
    return spec.finalists.max * (2 * spec.finalists.seeds + swept)


def _plain(member: TrialRecord) -> Recipe:
    return Recipe.of(member.task).undistilled()


def _has_ended(record: TrialRecord | None) -> bool:
    return record is not None and record.ended


def _complete(tasks: Sequence[Task], known: Known) -> tuple[TrialRecord, ...]:
    found = (known[task.key] for task in tasks if task.key in known)
    return tuple(record for record in found if record.test is not None)
