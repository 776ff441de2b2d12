"""Recorded learning curves, and which of them a proposal is answered with."""

from __future__ import annotations

import gzip
import json
import math
from collections import defaultdict
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

Key = tuple[tuple[str, Any], ...]
"""The choices of a configuration that are no numbers, and the names of its numbers."""


@dataclass(frozen=True)
class Dimension:
    """A range of numbers.

    Attributes:
        low: Its lower end.
        high: Its upper end.
        log: Whether it is searched by orders of magnitude.
    """

    low: float
    high: float
    log: bool

    def place(self, value: float) -> float:
        """Where a value lies, 0 at the lower end and 1 at the upper."""
        low, high, at = self.low, self.high, value
        if self.log:
            low, high, at = math.log(low), math.log(high), math.log(value)
        return (at - low) / (high - low)


@dataclass(frozen=True)
class Curve:
    """One configuration that was trained.

    Attributes:
        parameters: Its parameters, by Optuna's names.
        sizes: Its parameters, multiply-accumulates and bytes.
        accuracy: On validation, after each epoch; of a training that diverged, until then.
        averaged: The same of the averaged weights.
        seconds: Mean time of an epoch.
        test: Accuracy on the test after the last epoch; ``None`` where it diverged.
    """

    parameters: dict[str, Any]
    sizes: dict[str, float]
    accuracy: list[float]
    averaged: list[float]
    seconds: float
    test: float | None

    @property
    def diverged(self) -> bool:
        """Whether it did not come to its end."""
        return self.test is None


class CurvesTable:
    """Curves, looked up by what was proposed.

    Args:
        curves: The curves.
        dimensions: The ranges of the space's numbers.
        epochs: Epochs of a whole training.
    """

    def __init__(
        self, curves: Sequence[Curve], dimensions: Mapping[str, Dimension], epochs: int
    ) -> None:
        self.curves, self.epochs = curves, epochs
        self._dimensions = dimensions
        members: dict[Key, list[int]] = defaultdict(list)
        for number, curve in enumerate(curves):
            members[self._key(curve.parameters)].append(number)
        self._members = {key: np.array(found) for key, found in members.items()}
        self._places = {
            key: np.array([self._place(curves[number].parameters) for number in found])
            for key, found in members.items()
        }

    @classmethod
    def read(cls, path: Path) -> CurvesTable:
        """The table in a file that ``curves.py`` has written."""
        head, *lines = gzip.decompress(path.read_bytes()).decode().splitlines()
        facts = json.loads(head)
        dimensions = {name: Dimension(**each) for name, each in facts["dimensions"].items()}
        return cls([Curve(**json.loads(line)) for line in lines], dimensions, facts["epochs"])

    def nearest(self, parameters: Mapping[str, Any], taken: Container[int] = ()) -> int:
        """The number of the configuration that is nearest to a proposal.

        It has the proposal's method; the distance is Euclidean over the ranges of its numbers, each
        from 0 to 1.

        Args:
            parameters: What was proposed.
            taken: Numbers that are no answer while there are others.

        Raises:
            KeyError: No configuration with such choices was recorded.
        """
        key = self._key(parameters)
        gaps = np.linalg.norm(self._places[key] - self._place(parameters), axis=1)
        by_gap = [int(self._members[key][place]) for place in np.argsort(gaps, kind="stable")]
        return next((number for number in by_gap if number not in taken), by_gap[0])

    def _key(self, parameters: Mapping[str, Any]) -> Key:
        numbers = self._dimensions.keys()
        return tuple(
            (name, None if name in numbers else parameters[name]) for name in sorted(parameters)
        )

    def _place(self, parameters: Mapping[str, Any]) -> list[float]:
        return [
            self._dimensions[name].place(parameters[name])
            for name in sorted(parameters)
            if name in self._dimensions
        ]
