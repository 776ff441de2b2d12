"""A value of a method or of a way: published default, search range, and what makes sense."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from kdsearch.spec.names import suggest
from kdsearch.spec.ranges import Choices, Range


@dataclass(frozen=True)
class Hyperparameter:
    """One value, with its published default beside its search range.

    Attributes:
        default: The value of the paper or of its reference implementation.
        search: Range or choices that a search draws from; ``None`` keeps the default.
        about: What the value does, in a few words.
        whole: Whether only whole numbers make sense.
        minimum: Smallest value that makes sense.
        maximum: Largest value that makes sense, if there is one.
    """

    default: float
    search: Range | Choices | None
    about: str
    whole: bool = False
    minimum: float = 0.0
    maximum: float | None = None

    def fault(self, value: object) -> str | None:
        """What a value must be that nothing can work with; ``None`` where it is sound."""
        if isinstance(value, bool) or not isinstance(value, int | float):
            return f"must be a finite number, not {value!r}"
        if not math.isfinite(value):
            return f"must be a finite number, not {value!r}"
        if self.whole and (value != int(value) or value < 1):
            return f"must be a whole number of at least 1, not {value:g}"
        if value < self.minimum:
            return f"must be at least {self.minimum:g}, not {value:g}"
        if self.maximum is not None and value > self.maximum:
            return f"must be at most {self.maximum:g}, not {value:g}"
        return None


def lacking(label: str, name: str, declared: Mapping[str, Hyperparameter]) -> str | None:
    """What is wrong with a name that a label has no value of; ``None`` where it has one.

    Args:
        label: Of methods or ways, for the message.
        name: As given.
        declared: All that the label has.
    """
    if not declared:
        return f"'{label}' has no hyperparameters; remove '{name}'"
    if name not in declared:
        return f"'{label}' has no hyperparameter '{name}'; {suggest(name, declared)}"
    return None
