"""Which trial of the search each training that judges belongs to."""

from __future__ import annotations

from functools import cached_property
from typing import Literal

from kdsearch.results.chained import lineage
from kdsearch.results.record import TrialRecord
from kdsearch.results.study import Study
from kdsearch.spec.concrete import ModelConfig
from kdsearch.training.recipe import Recipe, student_seed

Kind = Literal["trial", "finalist", "baseline", "sweep", "chain"]
"""A trial of the search; a finalist, or its undistilled baseline, with one of the seeds; what tunes
a baseline; or a wider student that a finalist of a ladder, or its baseline, is cut from."""


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
        spec = self._study.spec
        chosen = self._study.chosen()
        return [(trial, Recipe.from_scratch(spec, trial.task)) for trial in chosen]

    @cached_property
    def _chains(self) -> list[tuple[TrialRecord, set[ModelConfig]]]:
        """The networks that each finalist of a ladder, or its baseline, goes on from."""
        by_key = {each.task.key: each for each in self._study.records()}
        found = []
        for trial, _ in self._finalists:
            before = lineage(trial, by_key)[:-1]
            models = {model for each in before for model in (each.model, each.undistilled().model)}
            found.append((trial, models))
        return found

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
        if record.phase == "chains":
            return "chain"
        own = Recipe.from_scratch(self._study.spec, record.task)
        return "finalist" if any(own == recipe for _, recipe in self._finalists) else "baseline"

    def trial(self, record: TrialRecord) -> TrialRecord | None:
        """The trial that a training judges; ``None`` for one of the search itself.

        Of several trials that share a baseline, it is that of the first. A study that was extended
        has trainings of trials that are no longer chosen: ``None`` for these.
        """
        if record.phase == "search":
            return None
        if record.phase == "chains":
            model = record.task.model
            return next((trial for trial, models in self._chains if model in models), None)
        own = Recipe.from_scratch(self._study.spec, record.task)
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
