"""What a metric is: its name, direction, range, unit, and how it is computed."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np
import torch
from torch import Tensor

from kdsearch.problems.described import Shown, Told

Loss = TypeVar("Loss", float, np.ndarray)

DRAWS = 50
"""Draws of a bootstrap: its error is then known to a tenth of itself."""


@dataclass(frozen=True)
class Predictions:
    """A network's outputs of one task for the samples that have the target, in host memory.

    Attributes:
        outputs: [N, K] float32 logits of classes or labels, or [N] values in their own unit.
        targets: [N] int64 class indices; float32 [N, K] labels of 0, 1 and NaN where one is not
            known; or float32 [N] values.
        reference: As ``outputs``, of the teacher that the network is compared with.
    """

    outputs: Tensor
    targets: Tensor
    reference: Tensor | None = None

    def take(self, index: Tensor) -> Predictions:
        """Those of the samples at ``index`` [M]."""
        reference = None if self.reference is None else self.reference[index]
        return Predictions(self.outputs[index], self.targets[index], reference)


@dataclass(frozen=True)
class Metric(Told):
    """One score of a network on a split.

    A metric of your own is one of these in a module of yours; the spec names it
    ``module:name``.

    Args:
        name: The name in specs, tables and MLflow.
        compute: The score of :class:`Predictions`.
        better: Whether a higher or a lower value is better.
        lowest: The least value that there can be; ``None`` where there is none.
        highest: The largest, likewise.
        unit: ``%`` for a share, which is told in percent; else the unit's name, or nothing.
        title: What a person reads; absent, the name with spaces.
        head: The same above a column; absent, the title.
        loss_title: What is small where the metric is good; absent, ``1 − title`` or the title.
        about: What it measures, in a few words; absent, the title.
        error: How its standard error over samples is known: ``binomial`` for a share of samples
            that are right, else by ``bootstrap`` over the samples.
        compares: Whether it compares with the teacher's outputs.
        shown: Whether a table of the front has it ``always``, in a ``wide`` terminal alone, or
            ``never``; the objective is always shown.
        applies: Whether it is of use for a split, by the targets; asked where nobody chose it.
        kind: What it judges: a ``class``, ``labels`` or a ``value``; ``None``: any of them.
    """

    name: str
    compute: Callable[[Predictions], float]
    better: Literal["higher", "lower"] = "higher"
    lowest: float | None = 0.0
    highest: float | None = 1.0
    unit: str = "%"
    title: str = ""
    head: str = ""
    loss_title: str = ""
    about: str = ""
    error: Literal["binomial", "bootstrap"] = "bootstrap"
    compares: bool = False
    shown: Shown = "never"
    applies: Callable[[Tensor], bool] = lambda targets: True
    kind: Literal["class", "labels", "value"] | None = None

    def __post_init__(self) -> None:
        if self.better == "higher" and self.highest is None:
            raise ValueError(f"the metric {self.name} is better the higher; say how high it can be")
        title = self.title or self.name.replace("_", " ").replace("/", " ")
        loss = title if self.better == "lower" else f"1 − {title}"
        object.__setattr__(self, "title", title)
        object.__setattr__(self, "head", self.head or title)
        object.__setattr__(self, "loss_title", self.loss_title or loss)
        object.__setattr__(self, "about", self.about or title)

    def __call__(self, predictions: Predictions) -> float:
        """The score of some predictions."""
        return self.compute(predictions)

    @property
    def limits(self) -> tuple[float, float]:
        """The least and the largest value, infinite where there is none."""
        low = -math.inf if self.lowest is None else self.lowest
        return low, math.inf if self.highest is None else self.highest

    def loss(self, value: float) -> float:
        """A value as a loss, to be made small: the distance from the best that there can be.

        Of a metric without a least value, the value itself.
        """
        if self.better == "higher":
            assert self.highest is not None
            return self.highest - value
        return value - (self.lowest or 0.0)

    def from_loss(self, loss: Loss) -> Loss:
        """The value whose :meth:`loss` it is, or an array of them."""
        if self.better == "higher":
            assert self.highest is not None
            return self.highest - loss
        return loss + (self.lowest or 0.0)

    def enough(self, value: float, bound: float) -> float:
        """How much a value lacks of a bound; at most 0 where it is as good."""
        return bound - value if self.better == "higher" else value - bound

    def retained(self, value: float, teacher: float) -> float:
        """The share of a teacher's score that a student keeps; above 1 where it is the better one.

        Where lower is better, the teacher's value over the student's. Not a number where a ratio
        says nothing: of values that may be negative, and of a teacher without any success.
        """
        if self.lowest != 0.0 and not (self.better == "higher" and teacher > 0):
            return math.nan
        whole, part = (teacher, value) if self.better == "higher" else (value, teacher)
        return part / whole if whole > 0 else math.nan

    def standard_error(self, value: float, samples: int) -> float | None:
        """The standard error of a share over so many samples; ``None`` where it is none."""
        if self.error != "binomial" or not samples:
            return None
        return math.sqrt(max(value * (1 - value), 0.0) / samples)

    def draws(self, predictions: Predictions) -> Tensor:
        """The score of each of :data:`DRAWS` draws of as many samples: float64 [DRAWS].

        Drawn with replacement, and always alike (Efron 1979, "Bootstrap Methods"); of the tasks of
        one split that all have the same samples, each draw is of the same ones.
        """
        count = len(predictions.targets)
        generator = torch.Generator().manual_seed(0)
        drawn = torch.randint(count, (DRAWS, count), generator=generator)
        scores = [self(predictions.take(index)) for index in drawn]
        return torch.tensor(scores, dtype=torch.float64)

    def bootstrap(self, predictions: Predictions) -> float:
        """The standard deviation of the score over the :meth:`draws` on which it is a number."""
        return deviation(self.draws(predictions))


def deviation(scores: Tensor) -> float:
    """The standard deviation of those scores that are numbers."""
    return float(scores[torch.isfinite(scores)].std())
