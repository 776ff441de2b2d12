"""Whether what is kept is what the teacher says of the very views that a student sees."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import torch

from kdsearch.models import Signal, Signals
from kdsearch.teacher_cache.encoding import decode, encode, values_of
from kdsearch.teacher_cache.layout import Layout
from kdsearch.training.teacher import Batch, Teaching

SAMPLES = 4
"""Views that are asked of the teacher beside the cache."""

TOLERANCE = 0.05
"""Most difference, as a share of the answers' size: devices that round differently stay far below,
other views and other networks far above."""


def agree(
    teacher: Teaching, layout: Layout, batch: Batch, answers: Signals, signals: Collection[Signal]
) -> bool:
    """Whether the teacher's answers to the first views of a batch are those that were kept.

    Args:
        teacher: The live teacher.
        layout: The cache; what its way of storing loses is no difference.
        batch: The views.
        answers: What the cache has of them.
        signals: Which signals are compared.
    """
    live = teacher.observe(replace(batch, images=batch.images[:SAMPLES]), signals)
    return all(_close(signal, live, answers, layout) for signal in signals)


def _close(signal: Signal, live: Signals, answers: Signals, layout: Layout) -> bool:
    stored = encode(signal, live, layout.dtype, layout.top_k)
    again = decode(signal, stored, live.logits.shape[1] if live.logits is not None else 0)
    gaps, sizes = 0.0, 0.0
    for found, kept in zip(values_of(signal, again), values_of(signal, answers), strict=True):
        kept = kept[: len(found)]
        if signal == Signal.LOGITS:  # of two near ties either may be the last that top_k keeps
            found, kept = found.sort(dim=1).values, kept.sort(dim=1).values
        gaps += float(torch.linalg.vector_norm(found - kept, dtype=torch.float64)) ** 2
        sizes += float(torch.linalg.vector_norm(kept, dtype=torch.float64)) ** 2
    return gaps <= TOLERANCE**2 * sizes
