"""What a search weighs: a score against one size or several."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from kdsearch.results.record import TrialRecord
from kdsearch.spec.searching import SearchSection

TO_BE_SMALL = frozenset({"nll"})
"""Scores that are better the smaller they are; the others are shares, better the larger."""


@dataclass(frozen=True)
class Objectives:
    """What a search weighs.

    Attributes:
        score: ``accuracy``, ``nll`` or ``agreement``, on validation.
        sizes: Names of sizes; the first is the one of tables and figures.
        min_accuracy: Students below it count for nothing.
    """

    score: str = "accuracy"
    sizes: tuple[str, ...] = ("parameters",)
    min_accuracy: float | None = None

    @classmethod
    def of(cls, search: SearchSection) -> Objectives:
        """Those of a spec."""
        return cls(search.objective, search.size, search.min_accuracy)

    @property
    def size(self) -> str:
        """The size of tables and figures."""
        return self.sizes[0]

    def shortfall(self, record: TrialRecord) -> float:
        """How much accuracy a complete trial lacks; at most 0 where it has enough."""
        return (self.min_accuracy or 0.0) - (record.accuracy or 0.0)

    def counted(self, records: Sequence[TrialRecord]) -> list[TrialRecord]:
        """The complete trials with enough accuracy; of those that were stopped none has one."""
        return [each for each in records if each.accuracy is not None and self.shortfall(each) <= 0]

    def loss(self, scores: Mapping[str, float], prefix: str = "") -> float:
        """A score, to be made small: an error in [0, 1], or a negative log-likelihood.

        ``prefix`` stands before the names of the scores.
        """
        value = scores[prefix + self.score]
        return value if self.score in TO_BE_SMALL else 1 - value

    def log_sizes(self, record: TrialRecord) -> list[float]:
        """The decimal logarithm of each size of a trial, to be made small."""
        return [math.log10(record.size(name)) for name in self.sizes]

    def costs(self, records: Sequence[TrialRecord], prefix: str = "") -> np.ndarray:
        """[N, 1 + sizes] loss after the latest epoch, and log sizes; all to be made small."""
        rows = [[self.loss(each.epochs[-1], prefix), *self.log_sizes(each)] for each in records]
        return np.array(rows, dtype=float).reshape(len(records), 1 + len(self.sizes))
