"""The two networks' signals as every loss wants them: in full precision, the teacher's frozen."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from kdsearch.errors import MethodError
from kdsearch.models.signals import Signals


def full_precision(values: Tensor) -> Tensor:
    """``values`` in float32 where they are float16 or bfloat16, else as they are."""
    return values.float() if values.dtype in (torch.float16, torch.bfloat16) else values


def zero_of(values: Tensor) -> Tensor:
    """A zero with a zero gradient in ``values``, even where those are not finite."""
    return values.unsqueeze(-1)[..., :0].sum()


def logits(student: Signals, teacher: Signals) -> tuple[Tensor, Tensor]:
    """Student's and teacher's logits [B, K]."""
    return _pair(student.logits, teacher.logits, "logits")


def strong_logits(student: Signals) -> Tensor:
    """The student's logits [B, K] of the strong views."""
    assert student.strong is not None, "the student's strongly augmented images were not observed"
    assert student.strong.logits is not None, (
        "the logits of strongly augmented images were not observed"
    )
    return full_precision(student.strong.logits)


def embeddings(student: Signals, teacher: Signals) -> tuple[Tensor, Tensor]:
    """Student's and teacher's embeddings [B, D], each of its own length D."""
    return _pair(student.embedding, teacher.embedding, "embedding")


def maps(student: Tensor, teacher: Tensor) -> tuple[Tensor, Tensor]:
    """One stage of the student and one of the teacher, or another tensor of each."""
    return _pair(student, teacher, "map")


def _pair(student: Tensor | None, teacher: Tensor | None, signal: str) -> tuple[Tensor, Tensor]:
    assert student is not None, f"the student's {signal} was not observed"
    assert teacher is not None, f"the teacher's {signal} was not observed"
    student = full_precision(student)
    return student, teacher.detach().to(student.dtype)


def mean_of_sure(losses: Tensor, sure: Tensor, unlabelled: Tensor, confidence: float) -> Tensor:
    """Mean of losses [B] over the unlabelled samples, 0 for answers below a confidence.

    Without unlabelled samples it is 0.

    Args:
        losses: [B].
        sure: The probability of each sample's answer, [B].
        unlabelled: Which samples have no label, [B].
        confidence: In [0, 1].
    """
    counted = unlabelled & (sure >= confidence)
    return (losses * counted).sum() / unlabelled.sum().clamp(min=1)


def through(layer: nn.Module, values: Tensor) -> Tensor:
    """``values`` through a learnable helper, in the helper's precision; their own afterwards."""
    weight = next(layer.parameters())
    return layer(values.to(weight.dtype)).to(values.dtype)


def normalised(method: str, layer: nn.Module, values: Tensor) -> Tensor:
    """``values`` [B, C, H, W] through a learnable helper with batch normalisation.

    Raises:
        MethodError: In training, with a single value a channel, which has no variance.
    """
    if layer.training and values.shape[0] * values.shape[2] * values.shape[3] == 1:
        raise MethodError(
            f"{method} normalises over the batch and cannot do so with one sample of 1×1 maps; "
            "raise training.batch_size"
        )
    return through(layer, values)
