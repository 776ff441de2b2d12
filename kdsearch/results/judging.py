"""Which trainings judge the front's members: their own, and those of a baseline tuned as well."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from itertools import count

from kdsearch.methods import UNDISTILLED
from kdsearch.results.baselines import LEAST, Baselines
from kdsearch.results.chained import chained, lineage, undistilled
from kdsearch.results.cost import CostOf
from kdsearch.results.finalists import Finalist
from kdsearch.results.objectives import Objectives
from kdsearch.results.record import Phase, TrialRecord
from kdsearch.results.sweep import (
    Known,
    PlannedTraining,
    baseline_methods,
    sweep_epochs,
    sweep_points,
)
from kdsearch.spec.study import StudySpec
from kdsearch.training.programs import epochs_with_forebears
from kdsearch.training.recipe import Recipe
from kdsearch.training.task import Task


class Judging:
    """The trainings that judge the members of a front.

    The learning rate of a trial was searched together with its method's weights, which scale the
    gradient. The same rate without a teacher would be a straw man, so a baseline, which is the same
    student under the same number of epochs, is first tuned with one seed: by a :class:`Sweep` of as
    many configurations as the member's method had trials in the search, and of the member's own.

    A member that a ladder cut from a wider student is trained both ways, from scratch and in a
    chain of its own for each seed, and so is its baseline; of each the better way on validation
    counts.

    Args:
        spec: The study.
        members: Members of the validation front.
        searched: The trials of the search.
        known: Trainings that have ended or are paused; they keep their numbers.

    Attributes:
        spec: The study.
        runs: The members' trainings from scratch, one a seed.
        baselines: What they are compared with.
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
        tried = [each for each in searched if each.compares_settings]
        self.baselines = Baselines(spec, members, tried, self._trainings)
        by_key = {each.task.key: each for each in searched}
        self._lines = {
            each.number: lineage(each, by_key) for each in members if each.task.parent is not None
        }
        self._parents: set[str] = set()
        own = [task for member in members for task in self._seeded(self._recipe(member))]
        self.runs = self._trainings("finalists", own)
        self._chains = self._in_chains(self._lines.values())

    @property
    def total(self) -> int:
        """Trainings in all, those of sweeps that are stopped at a rung included."""
        seeds = self.spec.finalists.seeds
        alone = len(self.baselines.trainings) + len(self.runs) + len(self._chains)
        lines = (self._line_of(members) for members in self.baselines.members)
        of_baselines = len(self.baselines.students) + sum(map(len, lines))
        return alone + seeds * of_baselines

    @property
    def epochs(self) -> float:
        """Epochs of all trainings, if none fails."""
        return self.cost(lambda record, epochs: epochs)

    def cost(self, cost_of: CostOf) -> float:
        """What all of it costs, by the predicted cost of each training."""
        seeds = self.spec.finalists.seeds
        own = sum(seeds * cost_of(each, self._epochs(each.task)) for each in self._members)
        once = seeds * self.spec.training.epochs
        seeded = (
            max(cost_of(each, once) for each in self.baselines.dearest(student))
            for student in self.baselines.students
        )
        # as if every student of a chain cost what its narrowest does
        chained = sum(
            2 * seeds * cost_of(each, each.task.lineage_epochs)
            for each in self._members
            if each.task.parent is not None
        )
        return own + self.baselines.sweeps_cost(cost_of) + sum(seeded) + chained

    def _epochs(self, task: Task) -> int:
        """Those of a training from scratch."""
        return epochs_with_forebears(self.spec.training.epochs, task.teacher, task.generations)

    def is_parent(self, key: str) -> bool:
        """Whether another training goes on from the student of a task, by its key."""
        return key in self._parents

    def due(self, known: Known) -> list[PlannedTraining]:
        """What can be trained now: sweeps up to their next rungs first, the baselines last."""
        whole = [*self.runs, *self._chains, *self.of_baselines(known)]
        waiting = [each for each in whole if not _has_ended(known.get(each.key))]
        return [
            *self.baselines.due(known),
            *(each for each in waiting if _has_parent(each.task, known)),
        ]

    def done(self, known: Known) -> list[TrialRecord]:
        """Those of the known trainings that count here; a study that was extended has others."""
        whole = [*self.baselines.trainings, *self.runs, *self._chains, *self.of_baselines(known)]
        wanted = dict.fromkeys(each.key for each in whole)
        return [known[key] for key in wanted if key in known]

    def finalists(self, known: Known) -> list[Finalist]:
        """The members with those of their trainings, and of their baselines', that are complete."""
        found, objectives = [], Objectives.of(self.spec)
        for member in self._members:
            own = [self._seeded(self._recipe(member))]
            line = self._lines.get(member.number)
            own += [self._ends(line)] if line else []
            baseline = own
            if not member.task.is_baseline:
                tuned = self.baselines.tuned(self.baselines.student_of(member), known)
                baseline = [] if tuned is None else [self._seeded(Recipe.of(tuned))]
                if tuned is not None and line:
                    baseline.append(self._ends(undistilled(line, tuned)))
            runs, *others = self._by_validation(own, known)
            compared = self._by_validation(baseline, known)
            other = others[0] if others else ()
            found.append(Finalist(member, runs, compared[0] if compared else (), objectives, other))
        return found

    def of_baselines(self, known: Known) -> list[PlannedTraining]:
        """The baselines' trainings, one a seed and way, once all sweeps are over."""
        if self.baselines.due(known):
            return []
        tuned = [self.baselines.tuned(student, known) for student in self.baselines.students]
        tasks = [task for each in tuned if each for task in self._seeded(Recipe.of(each))]
        chains = self._in_chains(self._lines_of_baselines(tuned))
        return self._trainings("finalists", tasks) + chains

    def _lines_of_baselines(self, tuned: Sequence[Task | None]) -> list[list[Recipe]]:
        """The chains of baselines, by the task that each was tuned to."""
        found = []
        for task, members in zip(tuned, self.baselines.members, strict=True):
            line = self._line_of(members)
            if line and task is not None:
                found.append(undistilled(line, task))
        return found

    def _line_of(self, members: Iterable[TrialRecord]) -> list[Recipe]:
        """The chain of the members that share a baseline; empty where none is of one."""
        found = (self._lines[each.number] for each in members if each.number in self._lines)
        return next(found, [])

    def _by_validation(
        self, ways: Sequence[Sequence[Task]], known: Known
    ) -> list[tuple[TrialRecord, ...]]:
        """The complete trainings of each way: those that have most first, then by validation."""
        objectives = Objectives.of(self.spec)

        def rank(runs: Sequence[TrialRecord]) -> tuple[int, float]:
            losses = [objectives.loss(run.scores) for run in runs]
            return len(runs), -sum(losses) / max(len(losses), 1)

        return sorted((_complete(tasks, known) for tasks in ways), key=rank, reverse=True)

    def _recipe(self, member: TrialRecord) -> Recipe:
        return Recipe.from_scratch(self.spec, member.task)

    def _seeded(self, recipe: Recipe) -> list[Task]:
        return [recipe.task(self.spec, seed) for seed in self._seeds]

    def _ends(self, line: Sequence[Recipe]) -> list[Task]:
        """The last training of a chain with each seed."""
        return [chained(self.spec, line, seed)[-1] for seed in self._seeds]

    @property
    def _seeds(self) -> range:
        return range(1, self.spec.finalists.seeds + 1)

    def _in_chains(self, lines: Iterable[Sequence[Recipe]]) -> list[PlannedTraining]:
        """The trainings of chains, one chain a seed; what several share is there once."""
        chains = [chained(self.spec, line, seed) for line in lines for seed in self._seeds]
        self._parents |= {task.key for chain in chains for task in chain[:-1]}
        ends = [chain[-1] for chain in chains]
        scored = {task.key for task in ends}
        before = [task for chain in chains for task in chain[:-1] if task.key not in scored]
        return self._trainings("chains", before) + self._trainings("finalists", ends)

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


def planned_trainings(spec: StudySpec, trials: float) -> float:
    """Whole trainings that judge at most, where each method has an equal part of the trials.

    Args:
        spec: The study.
        trials: Those of the search that tell how many configurations of a baseline are tried.
    """
    each = math.ceil(trials / len({*spec.methods, UNDISTILLED}))
    labels, epochs, swept = baseline_methods(spec), spec.training.epochs, 0.0
    for label in labels:
        points = len(sweep_points(spec, max(LEAST, each), label))
        tried = points + 1 if points > 1 else 1  # the finalist's own is one more
        alone = epochs if tried == 1 and len(labels) > 1 else 0
        swept += (alone + sweep_epochs(tried, epochs, spec.search.scheduler)) / epochs
    return spec.finalists.max * (2 * spec.finalists.seeds + swept)


def _has_parent(task: Task, known: Known) -> bool:
    """Whether the student that a training goes on from is there, if it goes on from one."""
    if task.parent is None:
        return True
    parent = known.get(task.parent.key)
    return parent is not None and parent.complete


def _has_ended(record: TrialRecord | None) -> bool:
    return record is not None and record.ended


def _complete(tasks: Sequence[Task], known: Known) -> tuple[TrialRecord, ...]:
    found = (known[task.key] for task in tasks if task.key in known)
    return tuple(record for record in found if record.test is not None)
