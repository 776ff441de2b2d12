"""Asking a teacher for the views of a part and writing down what it says."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator

import torch
from torch import Tensor

from kdsearch.data import Feed
from kdsearch.models import Signal
from kdsearch.teacher_cache.encoding import StorageError, Stored, encode
from kdsearch.teacher_cache.layout import Layout
from kdsearch.teacher_cache.parts import write_part
from kdsearch.training.teacher import Batch, Teaching

BATCH = 256
"""Most views that the teacher is asked for at a time."""


class Questioner:
    """Asks a teacher for its answers to the views of a split and writes them into a cache.

    Args:
        layout: The cache.
        teacher: TeacherSignals.
        open_feed: Opens the split's views, on the teacher's device. They may take memory there, or
            processes that read, so they are opened with the first question, up to :meth:`close`.
    """

    def __init__(self, layout: Layout, teacher: Teaching, open_feed: Callable[[], Feed]) -> None:
        self._layout = layout
        self._teacher = teacher
        self._open_feed = open_feed
        self._feed: Feed | None = None

    def ask(self, epoch: int, part: int, signals: Collection[Signal]) -> None:
        """Write some signals of a part.

        Raises:
            TeacherError: An answer cannot be stored.
        """
        rows: dict[Signal, list[Stored]] = {signal: [] for signal in signals}
        errors = {signal: StorageError(signal, self._teacher.shapes.classes) for signal in signals}
        for batch in self._batches(epoch, part):
            answers = self._teacher.observe(batch, signals)
            for signal in signals:
                stored = encode(signal, answers, self._layout.dtype, self._layout.top_k)
                if self._layout.loses(signal):
                    errors[signal].add(answers, stored)
                rows[signal].append({name: value.cpu() for name, value in stored.items()})
        for signal in signals:
            whole = {name: torch.cat([r[name] for r in rows[signal]]) for name in rows[signal][0]}
            write_part(self._layout, signal, epoch, part, whole, errors[signal].summary())

    def close(self) -> None:
        """Give back what the views take; the next question opens them again."""
        if self._feed is not None:
            self._feed.close()
            self._feed = None

    def _batches(self, epoch: int, part: int) -> Iterator[Batch]:
        if self._feed is None:
            self._feed = self._open_feed()
        rows = self._layout.rows(part)
        indices = evenly(torch.arange(rows.start, rows.stop))
        views = self._feed.batches(indices, epoch)
        for index, (images, targets) in zip(indices, views, strict=True):
            yield Batch(images, targets, epoch, index)


def evenly(index: Tensor) -> tuple[Tensor, ...]:
    """Batches of about one size: in a batch of one or two samples networks round otherwise."""
    return index.tensor_split(-(-len(index) // BATCH))
