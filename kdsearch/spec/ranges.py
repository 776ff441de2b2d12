"""What one searched value may be: a fixed value, a range, or a list of choices."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Discriminator, Field, Tag, model_validator

from kdsearch.spec.base import Section

Scalar = bool | int | float | str


class Range(Section):
    """An interval, both ends included: ``{low: 1, high: 20, log: true}``."""

    low: float
    """Smallest value."""
    high: float
    """Largest value."""
    log: bool = False
    """Sample on a logarithmic scale; needs ``low`` above 0."""
    step: float | None = None
    """Distance between neighbouring values; not together with ``log``."""

    @model_validator(mode="after")
    def _possible(self) -> Range:
        if self.low > self.high:
            raise ValueError(f"low ({self.low:g}) is above high ({self.high:g}); swap them")
        if self.log and self.low <= 0:
            raise ValueError(f"a log range needs low above 0, not {self.low:g}")
        if self.step is not None and self.step <= 0:
            raise ValueError(f"step must be above 0, not {self.step:g}")
        if self.step is not None and self.log:
            raise ValueError("step and log cannot be used together; remove one")
        return self

    def bounds(self) -> tuple[float, float]:
        """The smallest and the largest value."""
        return self.low, self.high


class Choices(Section):
    """A list to choose from: ``{choices: [8, 14, 20]}``."""

    choices: tuple[Scalar, ...] = Field(min_length=1)
    """The values, none twice."""

    @model_validator(mode="after")
    def _distinct(self) -> Choices:
        if len(set(self.choices)) < len(self.choices):
            raise ValueError(f"choices {list(self.choices)} hold a value twice; remove one")
        return self


def _kind(value: Any) -> str:
    if isinstance(value, Choices) or (isinstance(value, Mapping) and "choices" in value):
        return "choices"
    if isinstance(value, Range | Mapping):
        return "range"
    return "value"


Dimension = Annotated[
    Annotated[Scalar, Tag("value")]
    | Annotated[Range, Tag("range")]
    | Annotated[Choices, Tag("choices")],
    Discriminator(_kind),
]
"""A fixed value, a :class:`Range` or :class:`Choices`."""


def extremes(dimension: Scalar | Range | Choices) -> tuple[Scalar, Scalar]:
    """The smallest and the largest value of a dimension; for text, the first and the last."""
    if isinstance(dimension, Range):
        return dimension.low, dimension.high
    if isinstance(dimension, Choices):
        values = dimension.choices
        numeric = all(isinstance(value, int | float) for value in values)
        ordered = sorted(values, key=lambda value: float(value)) if numeric else list(values)
        return ordered[0], ordered[-1]
    return dimension, dimension


def is_searched(dimension: Scalar | Range | Choices) -> bool:
    """Whether the dimension leaves anything to choose."""
    low, high = extremes(dimension)
    return low != high
