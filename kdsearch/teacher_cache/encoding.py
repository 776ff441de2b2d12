"""A teacher's answers as they are stored, and back."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from kdsearch.errors import TeacherError
from kdsearch.models import Signal, Signals
from kdsearch.teacher_cache.layout import Precision

Stored = Mapping[str, Tensor]
"""One signal of some samples: tensors by name, the samples along the first dimension."""


def encode(signal: Signal, answers: Signals, dtype: Precision, top_k: int | None) -> Stored:
    """One signal of a batch as it is stored.

    Args:
        signal: Which one.
        answers: The teacher's, float32.
        dtype: The type that is stored.
        top_k: Of the logits, keep only so many of the largest, and the mean that the others have
            where that would leave their share of the probability as it is.

    Raises:
        TeacherError: A value is not finite, or is beyond float16.
    """
    if signal == Signal.LOGITS:
        assert answers.logits is not None
        classes = answers.logits.shape[1]
        if top_k is not None and top_k < classes:
            return _top(answers.logits, top_k, dtype)
        return {"0": _cast(signal, answers.logits, dtype)}
    if signal == Signal.EMBEDDING:
        assert answers.embedding is not None
        return {"0": _cast(signal, answers.embedding, dtype)}
    return {
        str(place): _cast(signal, maps, dtype)
        for place, maps in enumerate(getattr(answers, signal))
    }


def decode(signal: Signal, stored: Stored, classes: int) -> Signals:
    """The signal of the stored rows, in float32; the others are absent.

    Args:
        signal: Which one.
        stored: As :func:`encode` made it, or some rows of that.
        classes: Length K of the logits.
    """
    if signal == Signal.LOGITS:
        logits = _spread(stored, classes) if "rest" in stored else stored["0"].float()
        return Signals(logits=logits)
    if signal == Signal.EMBEDDING:
        return Signals(embedding=stored["0"].float())
    maps = tuple(stored[str(place)].float() for place in range(len(stored)))
    named: dict[str, Any] = {signal.value: maps}
    return Signals(**named)


class StorageError:
    """What storing one signal has changed, over all samples that it was told of.

    Args:
        signal: Which signal.
        classes: Length K of the logits.
    """

    def __init__(self, signal: Signal, classes: int) -> None:
        self._signal = signal
        self._classes = classes
        self._samples = 0
        self._worst = self._gaps = self._values = self._kl = 0.0

    def add(self, answers: Signals, stored: Stored) -> None:
        """Take in the answers to some samples and what is stored of them."""
        exact = values_of(self._signal, answers)
        kept = values_of(self._signal, decode(self._signal, stored, self._classes))
        for values, found in zip(exact, kept, strict=True):
            gaps = values - found
            self._samples += len(values) if values is exact[0] else 0
            self._worst = max(self._worst, *(abs(float(end)) for end in gaps.aminmax()))
            self._gaps += _square_sum(gaps)
            self._values += _square_sum(values)
        if self._signal == Signal.LOGITS:
            log_p, log_q = (F.log_softmax(z[0].double(), dim=1) for z in (exact, kept))
            self._kl += float(F.kl_div(log_q, log_p, reduction="sum", log_target=True))

    def summary(self) -> dict[str, float]:
        """The error by name.

        ``worst`` is the largest absolute difference, ``relative`` the root of the mean square of
        all differences over that of the values, and for logits ``kl`` the mean
        KL(answer ‖ stored) of the class probabilities, in nats.
        """
        relative = math.sqrt(self._gaps / self._values) if self._values else 0.0
        error = {"worst": self._worst, "relative": relative}
        of_classes = {"kl": self._kl / max(self._samples, 1)}
        return error | (of_classes if self._signal == Signal.LOGITS else {})


def _square_sum(values: Tensor) -> float:
    return float(torch.linalg.vector_norm(values)) ** 2


def values_of(signal: Signal, answers: Signals) -> tuple[Tensor, ...]:
    found = getattr(answers, signal.value)
    return found if isinstance(found, tuple) else (found,)


def _cast(signal: Signal, values: Tensor, dtype: Precision) -> Tensor:
    cast = (values.half() if dtype == "float16" else values.float()).contiguous()
    if torch.isfinite(cast).all():
        return cast
    if torch.isfinite(values).all():
        raise TeacherError(
            f"the teacher's answers ({signal}) are beyond what float16 holds; "
            "set cache.dtype to float32"
        )
    raise TeacherError(
        f"the teacher's answers ({signal}) are not finite; train it again or give another one"
    )


def _top(logits: Tensor, count: int, dtype: Precision) -> Stored:
    values, places = logits.topk(count, dim=1)
    others = logits.scatter(1, places, -torch.inf)
    rest = torch.logsumexp(others, dim=1) - math.log(logits.shape[1] - count)
    return {
        "0": _cast(Signal.LOGITS, values, dtype),
        "places": places.to(torch.int32),
        "rest": _cast(Signal.LOGITS, rest, dtype),
    }


def _spread(stored: Stored, classes: int) -> Tensor:
    rest = stored["rest"].float()[:, None].expand(-1, classes)
    return rest.scatter(1, stored["places"].long(), stored["0"].float())
