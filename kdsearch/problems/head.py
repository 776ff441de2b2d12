"""One thing that a network predicts, and its place in the network's output."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol

import torch
from torch import Tensor

from kdsearch.problems.metric import Predictions

Kind = Literal["class", "labels", "value"]
"""One class of several, any number of labels, or a number."""

MISSING_CLASS = -1
"""The class index of a sample without one; a label or value that is missing is NaN."""


UNNAMED = "label"
"""The name of the one task of a study that names none."""


@dataclass(frozen=True)
class Head:
    """One task: some columns of a network's output [B, S], all heads side by side.

    A target is an int64 class index, -1 where it is missing; or float32 labels [K] of 0 and 1, or a
    float32 number, NaN where missing.

    Attributes:
        name: The task's name in the spec.
        kind: What is predicted.
        names: Names of the classes or of the labels; of a value, its one name.
        start: Its first column.
        mean: Of a value, the mean of the training targets.
        std: Of a value, their standard deviation: networks learn (target − mean) / std.
        named: Whether ``problem.tasks`` names it.
        gaps: Whether a training sample lacks its target.
    """

    name: str = UNNAMED
    kind: Kind = "class"
    names: tuple[str, ...] = ()
    start: int = 0
    mean: float = 0.0
    std: float = 1.0
    named: bool = False
    gaps: bool = False

    @property
    def size(self) -> int:
        """Number of its columns."""
        return len(self.names)

    def of(self, outputs: Tensor) -> Tensor:
        """Its columns [B, K] of outputs [B, S]."""
        if self.start == 0 and outputs.shape[1] == self.size:
            return outputs
        return outputs[:, self.start : self.start + self.size]

    def known(self, targets: Tensor) -> Tensor:
        """Which of the targets [N] or [N, K] are there; of labels, which samples have any: [N]."""
        if self.kind == "class":
            return targets != MISSING_CLASS
        there = ~targets.isnan()
        return there if there.ndim == 1 else there.any(dim=1)

    def standardised(self, targets: Tensor) -> Tensor:
        """Values as networks learn them."""
        return (targets - self.mean) / self.std

    def natural(self, outputs: Tensor) -> Tensor:
        """What outputs [B, S] say in the task's own unit: logits [B, K], or values [B]."""
        own = self.of(outputs)
        return own if self.kind != "value" else own[:, 0] * self.std + self.mean

    def predictions(
        self, outputs: Tensor, targets: Tensor, reference: Tensor | None = None
    ) -> Predictions:
        """What a network predicts of the samples that have the target.

        Args:
            outputs: [N, S] of the network.
            targets: [N] or [N, K].
            reference: [N, S] of the teacher that it is compared with.
        """
        known = self.known(targets)
        of = Predictions(
            self.natural(outputs),
            targets,
            None if reference is None else self.natural(reference),
        )
        return of if bool(known.all()) else of.take(known.nonzero().flatten())


def called(name: str) -> str:
    """What the targets of a task are called in a sentence."""
    return "labels" if name == UNNAMED else f"targets of '{name}'"


class Named(Protocol):
    """What tells one task from another."""

    @property
    def name(self) -> str: ...

    @property
    def kind(self) -> Kind: ...

    @property
    def names(self) -> tuple[str, ...]: ...


def named_by_data(tasks: Iterable[Named]) -> bool:
    """Whether only the data tell what some outputs say: values, and classes that are counted."""
    return any(
        each.kind == "value" or list(each.names) == [str(place) for place in range(len(each.names))]
        for each in tasks
    )


def answers_sum(tasks: Iterable[Named]) -> str:
    """A checksum over what a network's outputs say, by name, kind and names of each task."""
    told = [[each.name, each.kind, *each.names] for each in tasks]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:16]


def side_by_side(heads: Iterable[Head]) -> tuple[Head, ...]:
    """The heads, each with its place in one output."""
    placed: list[Head] = []
    start = 0
    for head in heads:
        placed.append(replace(head, start=start))
        start += head.size
    return tuple(placed)


def natural(heads: Sequence[Head], outputs: Tensor) -> Tensor:
    """Outputs [B, S] with the values in their own units; logits as they are."""
    each = [head.natural(outputs) for head in heads]
    return torch.cat([one if one.ndim == 2 else one[:, None] for one in each], dim=1)


def outputs_of(heads: Iterable[Head]) -> int:
    """Columns of all heads together."""
    return sum(head.size for head in heads)


def spread_of(values: Tensor) -> tuple[float, float]:
    """Mean and standard deviation of the values [N] that are there; 0 counts as 1."""
    there = values[~values.isnan()].double()
    deviation = float(there.std(correction=0)) if len(there) else 0.0
    return float(there.mean()) if len(there) else 0.0, deviation or 1.0
