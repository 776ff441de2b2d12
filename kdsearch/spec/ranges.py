"""What one searched number may be: a fixed value, a range, or a list of choices."""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BeforeValidator, Discriminator, Field, Tag, model_validator

from kdsearch.spec.base import Section
from kdsearch.spec.values import Flag, Number
from kdsearch.spec.wording import brief, instead

Scalar = int | float


class Range(Section):
    """An interval, both ends included: ``{low: 1, high: 20, log: true}``."""

    low: Number
    """Smallest value."""
    high: Number
    """Largest value."""
    log: Flag = False
    """Sample on a logarithmic scale; needs ``low`` above 0."""
    step: Number | None = None
    """Distance between neighbouring values; not together with ``log``."""

    @model_validator(mode="after")
    def _possible(self) -> Range:
        if self.low > self.high:
            raise ValueError(f"low ({self.low:g}) is above high ({self.high:g}); swap them")
        if self.log and self.low <= 0:
            raise ValueError(f"a log range needs low above 0, not {self.low:g}")
        if self.step is not None:
            self._check_step(self.step)
        return self

    def _check_step(self, step: float) -> None:
        if self.log:
            raise ValueError("step and log cannot be used together; remove one")
        if step <= 0:
            raise ValueError(f"step must be above 0, not {step:g}")
        low, high = Decimal(str(self.low)), Decimal(str(self.high))
        rest = (high - low) % Decimal(str(step))
        if rest:
            raise ValueError(
                f"high ({self.high:g}) is never met in steps of {step:g} from {self.low:g}; set "
                f"high to {float(high - rest):g}, or change step"
            )

    def bounds(self) -> tuple[float, float]:
        """The smallest and the largest value."""
        return self.low, self.high


def _single(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(
            "must be a number, a range such as {low: 1, high: 8}, or a list such as "
            f"{{choices: [1, 2, 4]}}{instead(value)}"
        )
    return _finite(value)


def _choice(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"must be a number{instead(value)}")
    return _finite(value)


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise ValueError(f"must be a finite number{instead(value)}")
    return value


class Choices(Section):
    """A list to choose from: ``{choices: [8, 14, 20]}``."""

    choices: tuple[Annotated[Scalar, BeforeValidator(_choice)], ...] = Field(min_length=1)
    """The values, none twice."""

    @model_validator(mode="after")
    def _distinct(self) -> Choices:
        if len(set(self.choices)) < len(self.choices):
            raise ValueError(
                f"choices {brief(str(list(self.choices)))} hold a value twice; remove one"
            )
        return self


def tag(kind: type[Section] | None) -> str:
    """The name that pydantic's errors have for a kind of dimension; no key is written so."""
    return f"<{kind.__name__.lower()}>" if kind else "<value>"


def _kind(value: Any) -> str:
    if isinstance(value, Choices) or (isinstance(value, Mapping) and "choices" in value):
        return tag(Choices)
    if isinstance(value, Range | Mapping):
        return tag(Range)
    return tag(None)


Dimension = Annotated[
    Annotated[Annotated[Scalar, BeforeValidator(_single)], Tag(tag(None))]
    | Annotated[Range, Tag(tag(Range))]
    | Annotated[Choices, Tag(tag(Choices))],
    Discriminator(_kind),
]
"""A fixed value, a :class:`Range` or :class:`Choices`."""


def extremes(dimension: Scalar | Range | Choices) -> tuple[Scalar, Scalar]:
    """The smallest and the largest value of a dimension."""
    if isinstance(dimension, Range):
        return dimension.low, dimension.high
    if isinstance(dimension, Choices):
        return min(dimension.choices), max(dimension.choices)
    return dimension, dimension


def every(dimension: Scalar | Range | Choices) -> tuple[Scalar, ...]:
    """The values that a check must pass: each of the choices, else the two ends."""
    return dimension.choices if isinstance(dimension, Choices) else extremes(dimension)


def holds(dimension: Scalar | Range | Choices, value: Scalar) -> bool:
    """Whether a value is one that the dimension may take."""
    if isinstance(dimension, Choices):
        return value in dimension.choices
    low, high = extremes(dimension)
    step = dimension.step if isinstance(dimension, Range) else None
    steps = (value - low) / step if step else 0.0
    return low <= value <= high and abs(steps - round(steps)) < 1e-8  # as Optuna rounds


def is_searched(dimension: Scalar | Range | Choices) -> bool:
    """Whether the dimension leaves anything to choose."""
    low, high = extremes(dimension)
    return low != high
