"""The front's members, trained again with several seeds and scored on the test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from scipy.special import stdtrit

from kdsearch.results.objectives import Objectives
from kdsearch.results.record import TrialRecord
from kdsearch.spec.teaching import MUTUAL
from kdsearch.training.programs import total_epochs
from kdsearch.training.task import Task

Start = Literal["scratch", "chain"]
"""How a training began: with weights of its own, or with those of a trained, wider student."""


@dataclass(frozen=True)
class Interval:
    """A mean over so many seeds, with half the width of its 95 % interval by Student's t.

    The width is not a number for fewer than two values.
    """

    mean: float
    half_width: float
    count: int


def standard_error(values: Sequence[float]) -> float:
    """That of the mean of two values or more."""
    return float(np.std(values, ddof=1) / np.sqrt(len(values)))


def interval(values: Sequence[float]) -> Interval:
    """Mean and 95 % interval by Student's t, for the few seeds that a study can afford."""
    count, mean, half_width = len(values), float("nan"), float("nan")
    if count > 0:
        mean = float(np.mean(values))
    if count > 1:
        half_width = float(stdtrit(count - 1, 0.975) * standard_error(values))
    return Interval(mean, half_width, count)


@dataclass(frozen=True)
class Finalist:
    """A member of the validation front with what its seeds scored on the test.

    Attributes:
        trial: The trial of the search.
        runs: Its complete trainings, one a seed.
        baseline: The complete trainings of the same student without a teacher, with those seeds and
            a learning rate and weight decay of its own; of several methods that need no teacher, by
            the one that is best on validation.
        objectives: What the search weighs.
        other: Where a ladder cut it from a wider student, its trainings the other way: from scratch
            if those that count are of chains, and of chains if they are from scratch.
    """

    trial: TrialRecord
    runs: tuple[TrialRecord, ...]
    baseline: tuple[TrialRecord, ...]
    objectives: Objectives = field(default_factory=Objectives)
    other: tuple[TrialRecord, ...] = ()

    @property
    def start(self) -> Start | None:
        """How the trainings that count began; ``None`` before there are any."""
        if not self.runs:
            return None
        return "scratch" if self.runs[0].task.parent is None else "chain"

    @property
    def lineage_epochs(self) -> int | None:
        """Epochs of one of its trainings and of all that it went on from."""
        return self.runs[0].task.lineage_epochs if self.runs else None

    def test(self, name: str) -> Interval:
        """A test score, by its metric's name, over the seeds that have it."""
        return _scores(self.runs, name)

    def validation(self, name: str) -> Interval:
        """The same on validation, by which a student is picked."""
        scores = (run.scores for run in self.runs)
        return interval([each[name] for each in scores if name in each])

    def validation_error(self, samples: int) -> float:
        """The standard error of the mean objective on validation: of seeds, and of samples.

        The samples are the same for every seed, so that theirs does not fall with more seeds.

        Args:
            samples: Validation samples.
        """
        name = self.objectives.score
        runs = [run for run in self.runs if name in run.scores]
        values = [run.scores[name] for run in runs]
        errors = [self.objectives.error(run, samples) for run in runs]
        known = [each for each in errors if each is not None]
        of_samples = float(np.mean(known)) if known else 0.0
        of_seeds = standard_error(values) if len(values) > 1 else 0.0
        return float(np.hypot(of_seeds, of_samples)) if values else float("nan")

    def baseline_test(self, name: str) -> Interval:
        """The same of the baseline."""
        return _scores(self.baseline, name)

    @property
    def gain(self) -> Interval:
        """How much better than the baseline it does by the search's objective, on the test.

        Paired by seed: both see the same views, and start from the same weights and order. Not a
        number for a member that is a baseline itself.
        """
        if self.trial.task.is_baseline:
            return interval([])
        without = {run.task.seed: self.objectives.loss(_test(run)) for run in self.baseline}
        return interval(
            [
                without[run.task.seed] - self.objectives.loss(_test(run))
                for run in self.runs
                if run.task.seed in without
            ]
        )

    @property
    def shipped(self) -> TrialRecord | None:
        """The training to ship: the best on validation, so that the test has no say in it."""
        scored = [run for run in self.runs if self.objectives.score in run.scores]
        return min(scored, key=lambda run: self.objectives.loss(run.scores), default=None)


def trainings(task: Task) -> int:
    """Trainings of one student that a task takes: its forebears' and its peer's are counted."""
    return total_epochs(task) // task.training.epochs * (2 if task.teacher == MUTUAL else 1)


def weights_file(folder: Path, record: TrialRecord) -> Path:
    """Where the weights of a finalist's training lie."""
    return folder / f"{record.task.key[:16]}.safetensors"


def _scores(runs: Sequence[TrialRecord], name: str) -> Interval:
    tests = [_test(run) for run in runs]
    return interval([test[name] for test in tests if name in test])


def _test(record: TrialRecord) -> dict[str, float]:
    assert record.test is not None
    return record.test
