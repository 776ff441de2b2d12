"""Which trial of the search each training that judges belongs to."""

from __future__ import annotations

from functools import cached_property
from typing import Literal

from kdsearch.results.record import TrialRecord
from kdsearch.results.study import Study
from kdsearch.training.recipe import Recipe, student_seed

Kind = Literal["trial", "finalist", "baseline", "sweep"]
"""A trial of the search; a finalist, or its undistilled baseline, with one of the seeds; or what
tunes a baseline."""


class Lineage:
    """Tells the trainings of a study apart.

    Args:
        study: The study; its finalists are asked for once the first training of one is there.
    """

    def __init__(self, study: Study) -> None:
        self._study = study

    @property
    def adapts(self) -> bool:
        """Whether the study has a target domain, so that its baselines are not adapted."""
        return self._study.spec.target is not None

    @cached_property
    def _finalists(self) -> list[tuple[TrialRecord, Recipe]]:
        return [(trial, Recipe.of(trial.task)) for trial in self._study.chosen()]

    @cached_property
    def _seeds(self) -> dict[int, int]:
        spec = self._study.spec
        replicates = range(1, spec.finalists.seeds + 1)
        return {student_seed(spec, replicate): replicate for replicate in replicates}

    def kind(self, record: TrialRecord) -> Kind:
        """What a training is."""
        if record.phase == "search":
            return "trial"
        if record.phase == "baselines":
            return "sweep"
        own = Recipe.of(record.task)
        return "finalist" if any(own == recipe for _, recipe in self._finalists) else "baseline"

    def trial(self, record: TrialRecord) -> TrialRecord | None:
        """The trial that a training judges; ``None`` for one of the search itself.

        Of several trials that share a baseline, it is that of the first. A study that was extended
        has trainings of trials that are no longer chosen: ``None`` for these.
        """
        if record.phase == "search":
            return None
        own = Recipe.of(record.task)
        for trial, recipe in self._finalists:
            if own in (recipe, recipe.undistilled()):
                return trial
        same = (
            trial
            for trial, recipe in self._finalists
            if recipe.undistilled().model == record.task.model
        )
        return next(same, None)

    def began_with(self, record: TrialRecord) -> str | None:
        """The earlier study, and its trial, with whose student a training began, if with one."""
        earlier = record.task.model.earlier
        return None if earlier is None else earlier.told

    def seed(self, record: TrialRecord) -> int | None:
        """Which of the finalists' seeds a training has, from 1; ``None`` for one of the search."""
        return self._seeds.get(record.task.seed)
