"""Which trainings judge the front's members: their own, and those of a baseline tuned as well."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count

import numpy as np

from kdsearch.methods import UNDISTILLED
from kdsearch.results.finalists import Finalist
from kdsearch.results.record import Phase, TrialRecord
from kdsearch.spec.ranges import Choices, Range
from kdsearch.spec.study import StudySpec
from kdsearch.training.candidate import Candidate
from kdsearch.training.task import Task

RATES = 4
"""Rates over the searched range that each baseline is tried with, beside the finalist's."""


def baseline_rates(spec: StudySpec) -> list[float]:
    """The rates of a baseline's sweep: over the range that the search had, both ends included."""
    searched = spec.training.lr
    if isinstance(searched, Choices):
        return [float(rate) for rate in searched.choices]
    if not isinstance(searched, Range):
        return [float(searched)]
    space = np.geomspace if searched.log else np.linspace
    return [float(rate) for rate in space(searched.low, searched.high, RATES)]


@dataclass(frozen=True)
class Training:
    """One training that judges.

    Attributes:
        number: Its number among those of the finalists.
        phase: ``baselines`` for a sweep, else ``finalists``.
        task: What is trained.
        key: The task's key.
    """

    number: int
    phase: Phase
    task: Task
    key: str


class Judging:
    """The trainings that judge the members of a front.

    The learning rate of a trial was searched together with its method's weights, which scale the
    gradient. The same rate without a teacher would be a straw man, so a baseline, which is the same
    student under the same number of epochs, first sweeps the rates of the search with one seed and
    keeps the best on validation. Members that share a student share the baseline; a member that is
    undistilled itself is its own baseline.

    Args:
        spec: The study.
        members: Members of the validation front.
        ended: Trainings that have ended, by the key of their task; they keep their numbers.

    Attributes:
        spec: The study.
        sweep: The baselines' trainings at each rate; they never see the test.
        runs: The members' trainings, one a seed.
    """

    def __init__(
        self,
        spec: StudySpec,
        members: Sequence[TrialRecord],
        ended: Mapping[str, TrialRecord],
    ) -> None:
        self.spec = spec
        self._known = {key: record.number for key, record in ended.items()}
        taken = set(self._known.values())
        self._free = (number for number in count() if number not in taken)
        self._members = list(members)
        self.sweep: list[Training] = []
        self.runs: list[Training] = []
        self._numbers: dict[str, int] = {}
        first: set[str] = set()
        for member in self._distilled():
            for task in self._sweep_tasks(member):
                self._add(self.sweep, "baselines", task, first)
        for member in members:
            for task in self._seeded(Candidate.of(member.task)):
                self._add(self.runs, "finalists", task, first)
        self._first = frozenset(first)

    @property
    def total(self) -> int:
        """Trainings in all."""
        groups = {self._sweep_key(member) for member in self._distilled()}
        return len(self.sweep) + len(self.runs) + len(groups) * self.spec.finalists.seeds

    def baselines(self, ended: Mapping[str, TrialRecord]) -> list[Training]:
        """The baselines' trainings, one a seed, once their sweeps have ended.

        Args:
            ended: Every training that has ended, by the key of its task.
        """
        found: list[Training] = []
        noted = set(self._first)
        for member in self._distilled():
            for task in self._baseline_tasks(member, ended):
                self._add(found, "finalists", task, noted)
        return found

    def done(self, ended: Mapping[str, TrialRecord]) -> list[TrialRecord]:
        """Those of the ended trainings that count here; a study that was extended has others."""
        wanted = [*self.sweep, *self.runs, *self.baselines(ended)]
        return [ended[each.key] for each in wanted if each.key in ended]

    def finalists(self, ended: Mapping[str, TrialRecord]) -> list[Finalist]:
        """The members with those of their trainings, and of their baselines', that are complete."""
        found = []
        for member in self._members:
            own = self._seeded(Candidate.of(member.task))
            if member.task.method.label == UNDISTILLED:
                baseline = own
            else:
                baseline = self._baseline_tasks(member, ended)
            found.append(Finalist(member, _complete(own, ended), _complete(baseline, ended)))
        return found

    def _distilled(self) -> list[TrialRecord]:
        return [m for m in self._members if m.task.method.label != UNDISTILLED]

    def _sweep_tasks(self, member: TrialRecord) -> list[Task]:
        candidate = Candidate.of(member.task).undistilled()
        rates = sorted({*baseline_rates(self.spec), member.task.training.lr})
        return [candidate.at_rate(rate).task(self.spec, 0) for rate in rates]

    def _sweep_key(self, member: TrialRecord) -> str:
        """Equal for members with one baseline."""
        return Candidate.of(member.task).undistilled().at_rate(1.0).task(self.spec, 0).key

    def _baseline_tasks(self, member: TrialRecord, ended: Mapping[str, TrialRecord]) -> list[Task]:
        """Trainings of the member's baseline at its best rate; none before its sweep has ended."""
        key = self._sweep_key(member)
        tasks = [
            task
            for other in self._distilled()
            if self._sweep_key(other) == key
            for task in self._sweep_tasks(other)
        ]
        outcomes = [ended[task.key] for task in tasks if task.key in ended]
        scored = [outcome for outcome in outcomes if outcome.accuracy is not None]
        if len(outcomes) < len(tasks) or not scored:
            return []
        best = max(scored, key=lambda outcome: outcome.accuracy or 0.0)
        return self._seeded(Candidate.of(best.task))

    def _seeded(self, candidate: Candidate) -> list[Task]:
        seeds = range(1, self.spec.finalists.seeds + 1)
        return [candidate.task(self.spec, seed) for seed in seeds]

    def _add(self, trainings: list[Training], phase: Phase, task: Task, noted: set[str]) -> None:
        """Note a training, unless another member needs the same."""
        key = task.key
        if key in noted:
            return
        noted.add(key)
        if key not in self._numbers:
            known = self._known.get(key)
            self._numbers[key] = next(self._free) if known is None else known
        trainings.append(Training(self._numbers[key], phase, task, key))


def _complete(tasks: Sequence[Task], ended: Mapping[str, TrialRecord]) -> tuple[TrialRecord, ...]:
    found = (ended[task.key] for task in tasks if task.key in ended)
    return tuple(record for record in found if record.test is not None)
