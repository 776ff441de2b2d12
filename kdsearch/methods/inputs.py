"""The two networks' signals as every loss wants them: in full precision, the teacher's frozen."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from kdsearch.models.signals import Signals


def full_precision(values: Tensor) -> Tensor:
    """``values`` in float32 where they are float16 or bfloat16, else as they are."""
    return values.float() if values.dtype in (torch.float16, torch.bfloat16) else values


def logits(student: Signals, teacher: Signals) -> tuple[Tensor, Tensor]:
    """Student's and teacher's logits [B, K]."""
    return _pair(student.logits, teacher.logits, "logits")


def embeddings(student: Signals, teacher: Signals) -> tuple[Tensor, Tensor]:
    """Student's and teacher's embeddings [B, D], each of its own length D."""
    return _pair(student.embedding, teacher.embedding, "embedding")


def maps(student: Tensor, teacher: Tensor) -> tuple[Tensor, Tensor]:
    """One stage map of the student and one of the teacher."""
    return _pair(student, teacher, "map")


def _pair(student: Tensor | None, teacher: Tensor | None, signal: str) -> tuple[Tensor, Tensor]:
    assert student is not None, f"the student's {signal} was not observed"
    assert teacher is not None, f"the teacher's {signal} was not observed"
    student = full_precision(student)
    return student, teacher.detach().to(student.dtype)


def through(layer: nn.Module, values: Tensor) -> Tensor:
    """``values`` through a learnable helper, in the helper's precision; their own afterwards."""
    weight = next(layer.parameters())
    return layer(values.to(weight.dtype)).to(values.dtype)
