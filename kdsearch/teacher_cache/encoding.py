"""Teacher signals as they are stored, back again, and how far the two differ."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from kdsearch.data import Batch
from kdsearch.errors import TeacherError
from kdsearch.models import Signal, Signals
from kdsearch.teacher_cache.cache_plan import CachePlan, Precision
from kdsearch.training.teacher import Teaching

CHECKED_VIEWS = 4
"""Views on which the live teacher is compared with the cache."""

TOLERANCE = 0.05
"""Largest relative difference: devices that round differently stay far below, other views and
other networks far above."""

Stored = Mapping[str, Tensor]
"""One signal of some samples: tensors by name, the samples along the first dimension."""

MASK = "mask"
"""The name of the mask [B, L] of sequences and of attention over pairs."""


def encode(signal: Signal, signals: Signals, dtype: Precision, top_k: int | None) -> Stored:
    """One of a batch's float32 signals as it is stored, with its mask where it has one.

    With ``top_k`` only so many of the largest logits are stored, and the mean of the others that
    leaves their share of the probability as it is.

    Raises:
        TeacherError: A value is not finite, or is beyond float16.
    """
    values = values_of(signal, signals)
    if signal == Signal.LOGITS and top_k is not None and top_k < values[0].shape[1]:
        return _top(values[0], top_k, dtype)
    stored = {str(place): _cast(signal, value, dtype) for place, value in enumerate(values)}
    mask = signals.mask_of(signal)
    return stored if mask is None else {**stored, MASK: mask}


def decode(signal: Signal, stored: Stored, classes: int) -> Signals:
    """The signal of some rows that :func:`encode` made, in float32; logits have K ``classes``."""
    if "rest" in stored:
        return Signals(logits=_spread(stored, classes))
    count = len(stored) - (MASK in stored)
    values = tuple(stored[str(place)].float() for place in range(count))
    single = signal in (Signal.LOGITS, Signal.EMBEDDING)
    named: dict[str, Any] = {signal.value: values[0] if single else values}
    return Signals(**named, mask=stored.get(MASK))


def with_signal(found: Signals, signal: Signal, one: Signals) -> Signals:
    """Signals with one more, that of ``one``, and its mask where it has one."""
    mask = found.mask if one.mask is None else one.mask
    return replace(found, **{signal.value: getattr(one, signal.value)}, mask=mask)


def values_of(signal: Signal, signals: Signals) -> tuple[Tensor, ...]:
    """The tensors of one signal: one each stage, or a single one."""
    found = getattr(signals, signal.value)
    return found if isinstance(found, tuple) else (found,)


def agree(
    teacher: Teaching, plan: CachePlan, batch: Batch, found: Signals, wanted: Collection[Signal]
) -> bool:
    """Whether the live teacher's signals of a batch's first views are those of the cache.

    What the cache's way of storing loses is no difference.
    """
    live = teacher.observe(replace(batch, inputs=batch.first(CHECKED_VIEWS)), wanted)
    return all(_close(signal, live, found, plan) for signal in wanted)


def _close(signal: Signal, live: Signals, found: Signals, plan: CachePlan) -> bool:
    stored = encode(signal, live, plan.dtype, plan.top_k)
    again = decode(signal, stored, live.logits.shape[1] if live.logits is not None else 0)
    if not _same_mask(again.mask, found.mask_of(signal)):
        return False
    gaps, sizes = 0.0, 0.0
    for one, other in zip(values_of(signal, again), values_of(signal, found), strict=True):
        other = other[: len(one)]
        if signal == Signal.LOGITS:  # of two near ties either may be the last that top_k stores
            one, other = one.sort(dim=1).values, other.sort(dim=1).values
        gaps += _square_sum(one - other)
        sizes += _square_sum(other)
    return gaps <= TOLERANCE**2 * sizes


def _same_mask(live: Tensor | None, found: Tensor | None) -> bool:
    """Whether the mask of some first samples is that of more of them, or both have none."""
    if live is None or found is None:
        return live is found
    return torch.equal(live, found[: len(live)])


class StorageError:
    """How far stored values of one signal are from the computed ones, over all samples added.

    Args:
        signal: The signal.
        classes: Columns of the teacher's output.
        one_class: Whether these are the logits of one class a sample.
    """

    def __init__(self, signal: Signal, classes: int, one_class: bool = True) -> None:
        self._signal = signal
        self._classes = classes
        self._has_kl = one_class and signal == Signal.LOGITS
        self._samples = 0
        self._worst = self._gaps = self._values = self._kl = 0.0

    def add(self, signals: Signals, stored: Stored) -> None:
        """Take in the computed signals of some samples and what is stored of them."""
        exact = values_of(self._signal, signals)
        found = values_of(self._signal, decode(self._signal, stored, self._classes))
        for values, others in zip(exact, found, strict=True):
            gaps = values - others
            self._worst = max(self._worst, *(abs(float(end)) for end in gaps.aminmax()))
            self._gaps += _square_sum(gaps)
            self._values += _square_sum(values)
        self._samples += len(exact[0])
        if self._has_kl:
            log_p, log_q = (F.log_softmax(z[0].double(), dim=1) for z in (exact, found))
            self._kl += float(F.kl_div(log_q, log_p, reduction="sum", log_target=True))

    def summary(self) -> dict[str, float]:
        """The error by name.

        ``worst`` is the largest absolute difference, ``relative`` the root of the mean square of
        all differences over that of the values, and for logits of one class ``kl`` the mean
        KL(computed ‖ stored) of the class probabilities, in nats.
        """
        relative = math.sqrt(self._gaps / self._values) if self._values else 0.0
        error = {"worst": self._worst, "relative": relative}
        of_classes = {"kl": self._kl / max(self._samples, 1)}
        return error | (of_classes if self._has_kl else {})


def _square_sum(values: Tensor) -> float:
    return float(torch.linalg.vector_norm(values, dtype=torch.float64)) ** 2


def _cast(signal: Signal, values: Tensor, dtype: Precision) -> Tensor:
    cast = (values.half() if dtype == "float16" else values.float()).contiguous()
    if torch.isfinite(cast).all():
        return cast
    if torch.isfinite(values).all():
        raise TeacherError(
            f"the teacher's {signal} values are beyond what float16 holds; "
            "set cache.dtype to float32"
        )
    raise TeacherError(
        f"the teacher's {signal} values are not finite; train it again or give another one"
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
