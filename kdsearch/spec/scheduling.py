"""Which trials of a search are ended early."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from kdsearch.spec.base import Section
from kdsearch.spec.values import Number, Whole


def _rising(rungs: tuple[float, ...]) -> tuple[float, ...]:
    if list(rungs) != sorted(set(rungs)):
        raise ValueError("give each rung once, the smallest first")
    return rungs


Share = Annotated[Number, Field(gt=0, lt=1)]
"""A part of a whole, neither none nor all of it."""


class SchedulerSection(Section):
    """``search.scheduler``: at which rungs trials are compared, and how many go on."""

    name: Literal["none", "halving", "neighbours"] = "none"
    """``halving``: the best by non-dominated sorting, spread along the front, go on;
    ``neighbours``: the best among students of like size; ``none``: every trial is trained to its
    end."""
    rungs: Annotated[tuple[Share, ...], AfterValidator(_rising)] = Field(
        default=(1 / 9, 1 / 3), min_length=1
    )
    """Shares of a trial's epochs after which it is compared."""
    reduction: Number = Field(default=3.0, gt=1)
    """One in so many goes on at each rung."""
    neighbours: Whole = Field(default=8, ge=1)
    """With how many students, the nearest in size, ``neighbours`` compares."""
    score: Literal["raw", "ema"] = "ema"
    """What is compared: the validation accuracy of the student as it is (``raw``), or of the
    average of its latest weights (``ema``)."""
