"""A network's outputs as answers: classes, labels, values."""

from __future__ import annotations

from torch import Tensor

from kdsearch.problems import Head

Answers = list[str] | list[tuple[str, ...]] | list[float]
"""A class, labels or a value of each sample."""


def answers_of(head: Head, outputs: Tensor) -> Answers:
    """What outputs [B, K] say in a task, values in their own unit."""
    if head.kind == "value":
        return [float(value) for value in outputs[:, 0]]
    if head.kind == "class":
        return [head.names[index] for index in outputs.argmax(dim=1).tolist()]
    likely = (outputs > 0).tolist()
    return [tuple(n for n, has in zip(head.names, row, strict=True) if has) for row in likely]
