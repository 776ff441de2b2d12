"""Which students of a space can be trials."""

from __future__ import annotations

from typing import Any

from kdsearch.results.record import TrialRecord
from kdsearch.space.architectures import Architectures
from kdsearch.space.compatibility import Pairs
from kdsearch.space.sizes import sized_record, within_limits
from kdsearch.spec.study import StudySpec
from kdsearch.training.recipe import Recipe


class Usable:
    """Makes trials of recipes: of those that keep the size limits and can be trained.

    Args:
        spec: The study.
        architectures: What is known of networks.
    """

    def __init__(self, spec: StudySpec, architectures: Architectures) -> None:
        self._spec, self._architectures = spec, architectures
        self._pairs = Pairs(spec, architectures)

    def trial(self, recipe: Recipe, number: int, parameters: dict[str, Any]) -> TrialRecord | None:
        """A trial of the search with its sizes; ``None`` where there can be none.

        Args:
            recipe: What was drawn from the space.
            number: Of the trial.
            parameters: From which the recipe was made.
        """
        if self._pairs.unfit_start(recipe.model):  # such a start has no checksum, nor a task
            return None
        task = recipe.task(self._spec, 0)
        record = sized_record(self._architectures, self._spec, number, "search", task, parameters)
        keeps = within_limits(record, self._spec.search)
        return record if keeps and self._works(recipe) else None

    def _works(self, recipe: Recipe) -> bool:
        """Whether a recipe's method works on its very pair of teacher and student."""
        if recipe.teacher is None:
            return True
        return not self._pairs.reason(recipe.method, recipe.teacher, recipe.model)
