"""Which stages of student and teacher are paired, and how their maps are aligned."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import torch
from torch import Tensor

from kdsearch.models.pooling import average_pool
from kdsearch.models.signals import SignalShapes

T = TypeVar("T")


def match_deepest(student: Sequence[T], teacher: Sequence[T]) -> list[tuple[T, T]]:
    """Pairs of stages, shallow to deep: the deepest with the deepest, and so on backwards.

    The shallow stages that the longer network has left over are not matched.
    """
    count = min(len(student), len(teacher))
    return list(zip(student[len(student) - count :], teacher[len(teacher) - count :], strict=True))


def match_relative(stage: int, student: int, teacher: int) -> tuple[int, int]:
    """Student's and teacher's stage for ``stage``, all counted from 1.

    ``stage`` counts the stages of the network that has more of them. In the other it is the stage
    at the same relative depth, stage · fewer / more, rounded half up, at least the first.

    Args:
        stage: In 1 to max(student, teacher).
        student: Number of the student's stages.
        teacher: Number of the teacher's stages.
    """
    deeper = max(student, teacher)
    assert 1 <= stage <= deeper

    def position(count: int) -> int:
        return max(1, (2 * stage * count + deeper) // (2 * deeper))

    return position(student), position(teacher)


def pool_to_common(student: Tensor, teacher: Tensor) -> tuple[Tensor, Tensor]:
    """Maps [..., H, W] average-pooled to the smaller height and the smaller width of the two."""
    height = min(student.shape[-2], teacher.shape[-2])
    width = min(student.shape[-1], teacher.shape[-1])
    return average_pool(student, height, width), average_pool(teacher, height, width)


def no_positions(student: SignalShapes, teacher: SignalShapes, compared: str) -> str | None:
    """Why a method that compares positions cannot work, or ``None`` if some pair has several.

    Args:
        student: What is known of the student.
        teacher: What is known of the teacher.
        compared: What the method compares, in the words of the reason.
    """
    pairs = match_deepest(student.maps, teacher.maps)
    if any(min(s[1], t[1]) * min(s[2], t[2]) > 1 for s, t in pairs):
        return None
    return f"it compares {compared}, and no matched pair of stages has maps larger than 1×1"


def halving_sum(losses: Sequence[Tensor]) -> Tensor:
    """Σ_i 2^(i − n) · loss_i over n stages, shallow to deep and counted from 1.

    The deepest stage has the weight 1, and each shallower one half of the next.
    """
    weighted = [loss * 0.5 ** (len(losses) - i) for i, loss in enumerate(losses, start=1)]
    return torch.stack(weighted).sum()
