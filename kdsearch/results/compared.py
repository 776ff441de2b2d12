"""The teacher with which every student of a study is compared."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from kdsearch.problems import find_metric


@dataclass(frozen=True)
class ComparedTeacher:
    """What is known of that teacher; of several that know a task each, of all together.

    Attributes:
        name: As the spec calls it.
        sizes: By name; those of several teachers are added up.
        validation: Scores by metric; empty until the finalists are judged.
        test: The same on the test.
    """

    name: str
    sizes: Mapping[str, float]
    validation: Mapping[str, float] = field(default_factory=dict)
    test: Mapping[str, float] = field(default_factory=dict)

    def retained(self, metric: str, value: float, split: str = "test") -> float:
        """The share of its score that a student keeps; not a number where that is not known."""
        own = (self.test if split == "test" else self.validation).get(metric)
        return math.nan if own is None else find_metric(metric).retained(value, own)
