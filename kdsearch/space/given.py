"""Draws from a space of which some parameters are given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from kdsearch.space.space import Drawing, Suggester
from kdsearch.spec.ranges import Range, holds


class Given(Suggester):
    """Answers with given values, and with the first that may be where none is given.

    Args:
        values: By the parameters' names; those that are not asked for are left out.

    Attributes:
        params: What was asked for, with its values.
    """

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values
        self.params: dict[str, Any] = {}

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        return float(self._of(name, low))

    def suggest_int(
        self, name: str, low: int, high: int, *, step: int = 1, log: bool = False
    ) -> int:
        return int(self._of(name, low))

    def suggest_categorical(self, name: str, choices: Any) -> Any:
        return self._of(name, choices[0])

    def _of(self, name: str, first: Any) -> Any:
        self.params[name] = self._values.get(name, first)
        return self.params[name]


class Known(Suggester):
    """Answers with known values where they may be, and with the first that may be elsewhere.

    Args:
        known: By the parameters' names.

    Attributes:
        kept: What was known, may be and was asked for, with its value.
    """

    def __init__(self, known: Mapping[str, Any]) -> None:
        self._known = known
        self.kept: dict[str, Any] = {}

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        return float(self._number(name, Range(low=low, high=high, step=step, log=log)))

    def suggest_int(
        self, name: str, low: int, high: int, *, step: int = 1, log: bool = False
    ) -> int:
        found = self._number(name, Range(low=low, high=high, step=step))
        if name in self.kept:
            self.kept[name] = int(self.kept[name])
        return int(found)

    def suggest_categorical(self, name: str, choices: Any) -> Any:
        if self._known.get(name) not in choices:
            return choices[0]
        self.kept[name] = self._known[name]
        return self.kept[name]

    def _number(self, name: str, dimension: Range) -> float:
        value = self._known.get(name)
        if not isinstance(value, int | float) or not holds(dimension, value):
            return dimension.low
        self.kept[name] = self._taken(value, dimension)
        return self.kept[name]

    def _taken(self, value: float, dimension: Range) -> float:
        """What becomes of a known number; by itself nothing."""
        return value


class Near(Known):
    """As :class:`Known`, with numbers near the known ones.

    Args:
        known: By the parameters' names.
        random: Draws the differences.
        spread: Their standard deviation, as a share of the range, on its own scale.
    """

    def __init__(
        self, known: Mapping[str, Any], random: np.random.Generator, spread: float
    ) -> None:
        super().__init__(known)
        self._random, self._spread = random, spread

    def _taken(self, value: float, dimension: Range) -> float:
        low, high = float(dimension.low), float(dimension.high)
        ends = np.log([low, high]) if dimension.log else np.array([low, high])
        at = np.log(value) if dimension.log else value
        at += self._spread * (ends[1] - ends[0]) * self._random.standard_normal()
        moved = np.exp(at) if dimension.log else at
        if dimension.step is not None:
            steps = min(round((moved - low) / dimension.step), (high - low) // dimension.step)
            moved = low + steps * dimension.step
        return float(np.clip(moved, low, high))


class Pinned(Suggester):
    """Draws all but some parameters from another, such as an ``optuna.Trial``.

    Args:
        trial: Draws the others.
        pins: The given values by the parameters' names.

    Attributes:
        pinned: Those of them that were asked for.
    """

    def __init__(self, trial: Drawing, pins: Mapping[str, Any]) -> None:
        self._trial, self._pins = trial, pins
        self.pinned: dict[str, Any] = {}

    @property
    def params(self) -> dict[str, Any]:
        """What was asked for, with its values."""
        return {**self._trial.params, **self.pinned}

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        if self._is_pinned(name):
            return float(self.pinned[name])
        return float(self._trial.suggest_float(name, low, high, step=step, log=log))

    def suggest_int(
        self, name: str, low: int, high: int, *, step: int = 1, log: bool = False
    ) -> int:
        if self._is_pinned(name):
            return int(self.pinned[name])
        return int(self._trial.suggest_int(name, low, high, step=step, log=log))

    def suggest_categorical(self, name: str, choices: Any) -> Any:
        if self._is_pinned(name):
            return self.pinned[name]
        return self._trial.suggest_categorical(name, choices)

    def _is_pinned(self, name: str) -> bool:
        if name in self._pins:
            self.pinned[name] = self._pins[name]
        return name in self._pins
