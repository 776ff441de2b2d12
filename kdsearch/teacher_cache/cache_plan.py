"""What is kept of one teacher's answers, in a form that travels between processes."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch

from kdsearch.data import Dataset, Feed, Split, Views, make_feed
from kdsearch.models import Signal, SignalShapes
from kdsearch.spec.sections import Augmentation
from kdsearch.teacher_cache.building import CacheBuilder
from kdsearch.teacher_cache.disk_budget import allot, part_size, signal_bytes
from kdsearch.teacher_cache.layout import (
    AnySplit,
    Layout,
    Precision,
    content_key,
    is_plain,
)
from kdsearch.training.teacher import Teaching


@dataclass(frozen=True)
class Subject:
    """Views of a split that a teacher is asked about.

    Attributes:
        split: Which split.
        augment: Random changes of its pictures, or ``None`` for the plain ones.
        views_seed: Seed of the changes.
        epochs: Epochs of a trial.
    """

    split: AnySplit
    augment: Augmentation | None
    views_seed: int
    epochs: int

    @property
    def stored_epochs(self) -> int:
        """Epochs whose views differ: one, where nothing changes the pictures."""
        return min(self.epochs, 1) if is_plain(self.augment) else self.epochs

    def has_views(self, seed: int) -> bool:
        """Whether views of a seed are these; they are wherever nothing changes the pictures."""
        return is_plain(self.augment) or seed == self.views_seed

    def views(self, data: Dataset, device: torch.device) -> Views:
        """The views, all pictures on a device."""
        split: Split = getattr(data, self.split)
        return Views(split.to(device), data.mean, data.std, self.augment, self.views_seed)

    def feed(self, data: Dataset, device: torch.device, loaders: int) -> Feed:
        """The views as a training has them, on a device that need not hold all pictures."""
        split: Split = getattr(data, self.split)
        return make_feed(split, data.mean, data.std, self.augment, self.views_seed, device, loaders)


@dataclass(frozen=True)
class CachePlan:
    """A cache as it is to be.

    Attributes:
        layout: Where and how it is stored.
        subject: The views that it is of.
        sizes: Bytes that one sample's signal takes, by wanted signal.
        kept: By signal the number of a trial's epochs that are answered from what is kept, from
            the first.
    """

    layout: Layout
    subject: Subject
    sizes: dict[Signal, int]
    kept: dict[Signal, int]

    @property
    def bytes(self) -> int:
        """Bytes of all that is kept."""
        return sum(
            self.sizes[signal] * self.layout.samples * self._stored(signal) for signal in self.kept
        )

    @property
    def epochs(self) -> int:
        """Epochs that the teacher is asked about: one, where nothing changes the pictures."""
        return max(map(self._stored, self.kept), default=0)

    def _stored(self, signal: Signal) -> int:
        return min(self.kept[signal], self.subject.stored_epochs)

    def builder(
        self, teacher: Teaching, data: Dataset, device: torch.device, loaders: int = 1
    ) -> CacheBuilder:
        """Who builds it in this process.

        Args:
            teacher: TeacherSignals; on ``device``.
            data: The data set.
            device: Where the views are asked about.
            loaders: Processes that read pictures where these do not fit on the device.
        """
        feed = partial(self.subject.feed, data, device, loaders)
        return CacheBuilder(self.layout, teacher, feed, self.kept, device)

    def in_folder(self, folder: Path) -> CachePlan:
        """The same cache in another place, such as a disk of this node's own."""
        return replace(self, layout=replace(self.layout, folder=folder))


def plan_cache(
    digest: str,
    shapes: SignalShapes,
    wanted: Collection[Signal],
    data: Dataset,
    subject: Subject,
    folder: Path,
    budget: float,
    dtype: Precision = "float32",
    top_k: int | None = None,
) -> CachePlan:
    """What of a teacher's answers is kept within a budget.

    Args:
        digest: The teacher's (:func:`~kdsearch.teacher_cache.layout.teacher_digest`).
        shapes: Shapes of its signals.
        wanted: What is read of it.
        data: The data set.
        subject: The views that it is asked about.
        folder: Where caches are kept.
        budget: Bytes that this one may take.
        dtype: How answers are stored.
        top_k: Of the logits, store only so many of the largest.
    """
    samples = len(getattr(data, subject.split))
    sizes = {signal: signal_bytes(signal, shapes, dtype, top_k) for signal in wanted}
    stored = allot(sizes, samples, subject.stored_epochs, budget)
    plain = is_plain(subject.augment)
    kept = {s: subject.epochs if plain and epochs else epochs for s, epochs in stored.items()}
    part = part_size([sizes[signal] for signal, epochs in kept.items() if epochs])
    key = content_key(
        digest, data, subject.split, subject.augment, subject.views_seed, dtype, top_k, part
    )
    layout = Layout(folder, key, samples, dtype, top_k, part, plain)
    return CachePlan(layout, subject, sizes, kept)
