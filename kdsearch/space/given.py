"""Draws from a space of which some parameters are given."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from kdsearch.space.space import Drawing, Suggester


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


class Near(Suggester):
    """Answers with values near known ones; what is not known is left open.

    Args:
        known: By the parameters' names.
        random: Draws the differences, of numbers alone.
        spread: Their standard deviation, as a share of the range, on its own scale.

    Attributes:
        kept: What was known and asked for, with its value.
    """

    def __init__(
        self, known: Mapping[str, Any], random: np.random.Generator, spread: float
    ) -> None:
        self._known, self._random, self._spread = known, random, spread
        self.kept: dict[str, Any] = {}

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        if name not in self._known:
            return low
        value = self._moved(float(self._known[name]), low, high, log)
        if step is not None:
            value = low + round((value - low) / step) * step
        self.kept[name] = min(max(value, low), high)
        return float(self.kept[name])

    def suggest_int(
        self, name: str, low: int, high: int, *, step: int = 1, log: bool = False
    ) -> int:
        if name not in self._known:
            return low
        value = self._moved(float(self._known[name]), low, high, log)
        steps = min(round((value - low) / step), (high - low) // step)
        self.kept[name] = low + steps * step
        return int(self.kept[name])

    def suggest_categorical(self, name: str, choices: Any) -> Any:
        if self._known.get(name) not in choices:
            return choices[0]
        self.kept[name] = self._known[name]
        return self.kept[name]

    def _moved(self, value: float, low: float, high: float, log: bool) -> float:
        """A value moved on the scale of its range, and kept within it."""
        ends = np.log([low, high]) if log else np.array([low, high])
        at = np.log(value) if log else value
        at += self._spread * (ends[1] - ends[0]) * self._random.standard_normal()
        at = float(np.clip(at, *ends))
        return float(np.clip(np.exp(at) if log else at, low, high))


class Pinned(Suggester):
    """Draws all but some parameters from another, such as an ``optuna.Trial``.

    Args:
        trial: Draws the others.
        pins: The given values by the parameters' names, by what was drawn before.

    Attributes:
        pinned: Those of them that were asked for.
    """

    def __init__(
        self, trial: Drawing, pins: Callable[[Mapping[str, Any]], Mapping[str, Any]]
    ) -> None:
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
        pins = self._pins(self.params)
        if name in pins:
            self.pinned[name] = pins[name]
        return name in pins
