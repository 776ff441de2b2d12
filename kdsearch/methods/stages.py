"""Which stage of a student answers which stage of a teacher, and how their maps are aligned."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

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
    """Maps [..., H, W] pooled to the smaller height and the smaller width of the two.

    Adaptive average pooling, written as a product with one averaging matrix a side: unlike
    ``F.adaptive_avg_pool2d`` its gradient is deterministic on a GPU.
    """
    height = min(student.shape[-2], teacher.shape[-2])
    width = min(student.shape[-1], teacher.shape[-1])
    return _pool(student, height, width), _pool(teacher, height, width)


def _pool(values: Tensor, height: int, width: int) -> Tensor:
    if values.shape[-2:] == (height, width):
        return values
    rows = _averaging(values, values.shape[-2], height)
    columns = _averaging(values, values.shape[-1], width)
    return rows.T @ values @ columns


def _averaging(like: Tensor, size: int, bins: int) -> Tensor:
    """[size, bins]: column b holds the weights with which bin b averages the positions."""
    identity = torch.eye(size, dtype=like.dtype, device=like.device)
    return F.adaptive_avg_pool1d(identity, bins)
