"""What a search weighs: a metric against one size or several."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from kdsearch.problems import CLASSIFICATION, Metric, Problem, error_name, find_metric
from kdsearch.results.record import TrialRecord
from kdsearch.spec.study import StudySpec


@dataclass(frozen=True)
class Objectives:
    """What a search weighs.

    Attributes:
        score: Name of the metric, on validation.
        sizes: Names of sizes; the first is the one of tables and figures.
        require: Bounds of metrics, by name; students that miss one count for nothing.
        worst: The loss at which a student counts for nothing, the end of the hypervolume's axis.
        more: Further scores that are weighed, each with the loss at which a student counts for
            nothing by it; gains and figures are those of ``score``.
    """

    score: str = CLASSIFICATION.main.name
    sizes: tuple[str, ...] = ("parameters",)
    require: Mapping[str, float] = field(default_factory=dict)
    worst: float = 1.0
    more: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, spec: StudySpec) -> Objectives:
        """Those of a study."""
        search, problem = spec.search, Problem.of(spec)
        more = dict.fromkeys(problem.more, 1.0)
        return cls(problem.objective, search.size, search.require, more=more)

    @property
    def metric(self) -> Metric:
        """The metric that is weighed against the sizes."""
        return find_metric(self.score)

    @property
    def size(self) -> str:
        """The size of tables and figures."""
        return self.sizes[0]

    @property
    def drawn(self) -> Objectives:
        """The score against the first size alone, as a figure of two axes shows them."""
        return replace(self, sizes=self.sizes[:1], more={})

    def shortfalls(self, scores: Mapping[str, float], prefix: str = "") -> dict[str, float]:
        """How much scores lack of each bound; at most 0 where they have enough.

        ``prefix`` stands before the names of the scores.
        """
        return {
            name: find_metric(name).enough(scores[prefix + name], bound)
            for name, bound in self.require.items()
        }

    def suffices(self, scores: Mapping[str, float], prefix: str = "") -> bool:
        """Whether scores miss no bound."""
        return all(lack <= 0 for lack in self.shortfalls(scores, prefix).values())

    def counted(self, records: Sequence[TrialRecord]) -> list[TrialRecord]:
        """The complete trials that miss no bound; of those that were stopped none is complete."""
        return [each for each in records if each.complete and self.suffices(each.scores)]

    def value(self, record: TrialRecord) -> float:
        """The objective's score of a complete trial, on validation."""
        return record.scores[self.score]

    def error(self, record: TrialRecord, samples: int) -> float | None:
        """The standard error of a complete trial's score over validation samples, if known."""
        known = record.scores.get(error_name(self.score))
        return self.metric.standard_error(self.value(record), samples) if known is None else known

    def loss(self, scores: Mapping[str, float], prefix: str = "") -> float:
        """A score, to be made small: an error in [0, 1], or what the metric says of itself."""
        return self.metric.loss(scores[prefix + self.score])

    def log_sizes(self, record: TrialRecord) -> list[float]:
        """The decimal logarithm of each size of a trial, to be made small."""
        return [math.log10(record.size(name)) for name in self.sizes]

    def costs(self, records: Sequence[TrialRecord], prefix: str = "") -> np.ndarray:
        """[N, 1 + sizes + more] losses after the latest epoch, and log sizes; all to be made small.

        The loss by ``score`` comes first, then the sizes, then the losses by further scores.
        """
        rows = []
        for each in records:
            latest = each.epochs[-1]
            others = [find_metric(name).loss(latest[prefix + name]) for name in self.more]
            rows.append([self.loss(latest, prefix), *self.log_sizes(each), *others])
        width = 1 + len(self.sizes) + len(self.more)
        return np.array(rows, dtype=float).reshape(len(records), width)
