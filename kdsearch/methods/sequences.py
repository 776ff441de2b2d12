"""Stages of any kind side by side: the positions that are real in both, and means over those."""

from __future__ import annotations

from torch import Tensor, nn

from kdsearch.methods import inputs
from kdsearch.methods.stages import pool_to_common
from kdsearch.models.network import without_padding
from kdsearch.models.signals import SignalKind, Signals, SignalShape


def incomparable(student: SignalShape, teacher: SignalShape) -> str | None:
    """Why two stages cannot be compared position by position, or ``None`` if they can.

    Maps of other sizes can, once they are pooled; sequences must have the same positions.
    """
    if student.kind != teacher.kind:
        return (
            f"it compares stages of one kind, and the student's are {student.kind}s, the "
            f"teacher's {teacher.kind}s"
        )
    if student.kind == SignalKind.SEQUENCE and student.length != teacher.length:
        return (
            f"it compares sequences position by position, and the student's have "
            f"{student.length} positions, the teacher's {teacher.length}"
        )
    return None


def aligned(
    student: Signals, teacher: Signals, f_s: Tensor, f_t: Tensor
) -> tuple[Tensor, Tensor, Tensor | None]:
    """One stage of each network, position by position.

    Args:
        student: The student's signals.
        teacher: The teacher's signals.
        f_s: One stage of the student.
        f_t: One stage of the teacher, of the same kind.

    Returns:
        Both stages: maps pooled to the smaller height and width, sequences with zeros where either
        has padding; and [B, L], true where a position is real in both, for sequences with a mask.
    """
    f_s, f_t = inputs.maps(f_s, f_t)
    if f_s.ndim == 4:
        return (*pool_to_common(f_s, f_t), None)
    mask = _both(student.mask, teacher.mask) if f_s.ndim == 3 else None
    return without_padding(f_s, mask), without_padding(f_t, mask), mask


def mean_over_real(values: Tensor, mask: Tensor | None) -> Tensor:
    """The mean over samples of each one's mean over its real positions and their values.

    So each sample counts alike however long it is, and a batch's loss is the mean of its halves'.
    A sample without a real position counts as 0.

    Args:
        values: [B, L, D] with a mask; without one, any shape, and the plain mean.
        mask: [B, L], true where a position is real.
    """
    if mask is None:
        return values.mean()
    sums = values.mean(dim=2).masked_fill(~mask, 0).sum(dim=1)
    return (sums / mask.sum(dim=1).clamp(min=1)).mean()


def pointwise(kind: SignalKind, before: int, after: int) -> nn.Module:
    """A learnable layer without bias from ``before`` to ``after`` channels, alike at each position.

    A 1×1 convolution of maps, a linear layer of every other kind.
    """
    if kind == SignalKind.MAP:
        return nn.Conv2d(before, after, kernel_size=1, bias=False)
    return nn.Linear(before, after, bias=False)


def _both(one: Tensor | None, other: Tensor | None) -> Tensor | None:
    if one is None or other is None:
        return other if one is None else one
    return one & other
