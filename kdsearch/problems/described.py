"""What a person is told of a metric, without what computes it: so that tables need no PyTorch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

Shown = Literal["always", "wide", "never"]
"""In which tables of the front a metric is shown."""


class Told:
    """How values of a metric are told, by its unit and its title."""

    unit: str
    title: str

    @property
    def share(self) -> bool:
        """Whether it is a share, told in percent."""
        return self.unit == "%"

    @property
    def scale(self) -> int:
        """What a value is multiplied by where it is told."""
        return 100 if self.share else 1

    @property
    def gain_unit(self) -> str:
        """The unit of a difference of two values."""
        unit = "points" if self.share else self.unit
        return " of ".join(filter(None, (unit, self.title)))

    def told(self, value: float) -> str:
        """A value for a person: ``97.31%``, or three digits after the point and the unit."""
        return told_in(self.unit, value)


def told_in(unit: str, value: float) -> str:
    """A value of a unit, as :meth:`Told.told` tells it."""
    if unit == "%":
        return f"{value:.2%}"
    return " ".join(filter(None, (f"{value:.3f}", unit)))


@dataclass(frozen=True)
class Described(Told):
    """What tables tell of a metric; each field is that of :class:`~kdsearch.problems.Metric`."""

    name: str
    better: Literal["higher", "lower"]
    unit: str
    title: str
    head: str
    loss_title: str
    about: str
    shown: Shown

    @classmethod
    def of(cls, name: str, facts: Mapping[str, Any]) -> Described:
        """That of a metric from the facts that ``front.json`` has of it."""
        return cls(name, **{field.name: facts[field.name] for field in fields(cls)[1:]})
