"""Where the batches of an epoch come from: the device itself, or processes that read ahead."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

import torch
from torch import Tensor

from kdsearch.data.batch import Batch
from kdsearch.data.dataset import Dataset, Split
from kdsearch.data.feeds.worker_feed import WorkerFeed, concatenated
from kdsearch.data.images.spilled import spilled
from kdsearch.data.modalities.modality import Scale
from kdsearch.data.views.strong import strong_views
from kdsearch.data.views.views import Views
from kdsearch.spec.sections import Augmentation

RESIDENT_SHARE = 0.4
"""Share of a GPU's free memory that a split may take; the rest is for training."""


class Feed(Protocol):
    """The batches of one split, on the device that trains. Every feed gives the same bits."""

    def batches(self, indices: Sequence[Tensor], epoch: int) -> Iterator[Batch]:
        """The views of :meth:`kdsearch.data.views.views.Views.batch` for one batch after another.

        Args:
            indices: [B] int64 sample indices of each batch, all on one device, best the CPU.
            epoch: Epoch the views belong to.
        """
        ...

    def close(self) -> None:
        """End what the feed has started; it may be called again, and batches may not."""
        ...


class ResidentFeed:
    """Batches of a split that lives on the device, where its views are computed.

    Args:
        views: The views, on the device.
        strong: The strong views of the same samples, where they are read.
    """

    def __init__(self, views: Views, strong: Views | None = None) -> None:
        self._views = views
        self._strong = strong

    def batches(self, indices: Sequence[Tensor], epoch: int) -> Iterator[Batch]:
        """As :meth:`Feed.batches` says."""
        device = self._views.split.device
        for index, here in zip(indices, concatenated(indices, device), strict=True):
            strong = None if self._strong is None else self._strong.inputs(here, epoch)
            yield replace(self._views.batch(here, epoch), index=index, strong=strong)

    def close(self) -> None:
        """Nothing was started."""


def make_feed(
    split: Split,
    scales: Mapping[str, Scale],
    augment: Augmentation | None,
    seed: int,
    device: torch.device | str,
    workers: int,
    wanted: Collection[str] | None = None,
    strong: Augmentation | None = None,
) -> Feed:
    """The feed that suits a split and a device.

    A split that is mapped from a file, or that takes more than 40 % of a GPU's free memory, is read
    by worker processes; any other lives on the device.

    Args:
        split: The inputs and targets.
        scales: What each input is normalised by.
        augment: Random changes, or ``None`` for the plain inputs.
        seed: Seed of the views.
        device: Where the batches are wanted.
        workers: Processes that read, where they are needed; 0 reads in this process.
        wanted: Names of the inputs that are computed; absent: all.
        strong: Random changes of a second view of each sample, where one is read.

    Raises:
        DataError: Changes that the inputs are too small for, or have not the colours for, or no
            room for the workers' file.
    """
    device = torch.device(device)
    resident = is_resident(split, device)
    views = Views(split.to(device) if resident else split, scales, augment, seed, wanted)
    second = None if strong is None else strong_views(views, strong)
    if resident:
        return ResidentFeed(views, second)
    return WorkerFeed(views, device, workers, strong=second)


def on_device(dataset: Dataset, device: torch.device, loaders: int) -> Dataset:
    """The data set with every split where :func:`make_feed` would put it: on the device or, for the
    processes that read, in a file.

    A process that trains many networks moves its inputs once.

    Raises:
        DataError: There is no room for the file.
    """
    moved: dict[str, Any] = {}
    for name, split in dataset.splits.items():
        if is_resident(split, device):
            moved[name] = split.to(device)
        elif loaders:
            moved[name] = spilled(split)
    return replace(dataset, **moved)


def is_resident(split: Split, device: torch.device) -> bool:
    """Whether :func:`make_feed` puts the split on the device, or it is there."""
    if split.mapped or split.device.type == device.type:
        return not split.mapped
    free, total = torch.cuda.mem_get_info(device)
    may = torch.cuda.get_per_process_memory_fraction(device) * total
    may -= torch.cuda.memory_reserved(device)  # such as by another split
    return split.nbytes <= RESIDENT_SHARE * min(free, may)
