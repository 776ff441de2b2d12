"""A data set: three splits of images with what names and normalises them."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from kdsearch.data.images.mapped import MappedImages
from kdsearch.data.sources.inventory import Inventory
from kdsearch.errors import DataError
from kdsearch.problems import CLASSIFICATION, Head, Problem
from kdsearch.problems.head import MISSING_CLASS, UNNAMED, called

_PART_BYTES = 1 << 26
"""Images that are read at a time where a whole split is gone through."""


@dataclass(frozen=True)
class Split:
    """Images with their targets.

    Attributes:
        images: uint8 [N, C, H, W], in memory or mapped from a file.
        targets: Those of each task by its name, as :class:`~kdsearch.problems.Head` has them: [N]
            int64 class indices, float32 [N, K] labels, or float32 [N] values.
        weights: [N] float32 weights of the samples in the losses by the targets in a training, at
            least 0, or ``None`` where all count alike; evaluations pass them over.
    """

    images: Tensor | MappedImages
    targets: Mapping[str, Tensor]
    weights: Tensor | None = None

    @classmethod
    def of_classes(
        cls, images: Tensor | MappedImages, labels: Tensor, weights: Tensor | None = None
    ) -> Split:
        """Images [N, C, H, W] with one class each: int64 class indices [N]."""
        return cls(images, {UNNAMED: labels}, weights)

    def __len__(self) -> int:
        return self.images.shape[0]

    @property
    def labels(self) -> Tensor:
        """The first target: of one class a sample, its class indices [N]."""
        return next(iter(self.targets.values()))

    @property
    def device(self) -> torch.device:
        """Where the targets are, and the images that are in memory."""
        return self.labels.device

    @property
    def mapped(self) -> bool:
        """Whether the images stay in a file."""
        return isinstance(self.images, MappedImages)

    @property
    def nbytes(self) -> int:
        """Bytes of all images."""
        return math.prod(self.images.shape)

    def images_at(self, index: Tensor) -> Tensor:
        """A copy of the images at ``index`` [B], on the images' device: uint8 [B, C, H, W]."""
        if isinstance(self.images, MappedImages):
            return self.images[index]
        return self.images.index_select(0, index)

    def parts(self) -> Iterator[Tensor]:
        """All images in order, some 64 MB at a time; those in memory are not copied."""
        step = max(_PART_BYTES * len(self) // max(self.nbytes, 1), 1)
        for start in range(0, len(self), step):
            yield self.images[start : start + step]

    def take(self, index: Tensor) -> Split:
        """The samples at ``index`` [M]; mapped images stay where they are."""
        mapped = isinstance(self.images, MappedImages)
        images = self.images.take(index) if mapped else self.images[index]
        return self.with_images(images, index)

    def with_images(self, images: Tensor | MappedImages, index: Tensor) -> Split:
        """The samples at ``index`` [M], their ``images`` [M, C, H, W] given."""
        weights = None if self.weights is None else self.weights[index]
        return Split(images, {name: each[index] for name, each in self.targets.items()}, weights)

    def to(self, device: torch.device | str) -> Split:
        """The split on another device, to which mapped images go when they are read."""
        weights = None if self.weights is None else self.weights.to(device)
        targets = {name: each.to(device) for name, each in self.targets.items()}
        return Split(self.images.to(device), targets, weights)


@dataclass(frozen=True)
class Dataset:
    """Train, validation and test splits of one data set.

    Attributes:
        name: What the spec calls the source.
        train: What students and teacher learn from.
        validation: What the search sees.
        test: What finalists are scored on, once.
        mean: Per-channel mean of the training images, scaled to [0, 1].
        std: Per-channel standard deviation, likewise.
        inventory: The files that it was read from, of sources that name them.
        problem: What is predicted, with the names of the classes, and by what it is judged.
    """

    name: str
    train: Split
    validation: Split
    test: Split
    mean: tuple[float, ...]
    std: tuple[float, ...]
    inventory: Inventory | None = None
    problem: Problem = CLASSIFICATION

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(channels, height, width)."""
        _, channels, height, width = self.train.images.shape
        return channels, height, width

    @property
    def inputs(self) -> dict[str, tuple[int, ...]]:
        """The shape of each input of a sample, by name."""
        return {"image": self.image_shape}

    @property
    def outputs(self) -> int:
        """Columns of a network's output: of one class a sample, the number of classes."""
        return self.problem.outputs

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes of the first task that predicts one; empty where none does."""
        return next((head.names for head in self.problem.class_heads), ())

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over every byte of the three splits, weights among them, and the tasks."""
        heads = self.problem.heads
        tasks: object = [[head.name, head.kind, head.names] for head in heads]
        if [(head.name, head.kind) for head in heads] == [(UNNAMED, "class")]:
            tasks = heads[0].names
        digest = hashlib.sha256(json.dumps([self.name, tasks]).encode())
        for split in (self.train, self.validation, self.test):
            digest.update(repr(tuple(split.images.shape)).encode())
            for part in split.parts():
                digest.update(np.ascontiguousarray(part.numpy()).data)
            for targets in split.targets.values():
                digest.update(np.ascontiguousarray(targets.numpy()).data)
            if split.weights is not None:
                digest.update(b"weights")
                digest.update(np.ascontiguousarray(split.weights.numpy()).data)
        return digest.hexdigest()


def channel_statistics(split: Split) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Per-channel mean and standard deviation of a split's images, scaled to [0, 1]."""
    values = torch.arange(256, dtype=torch.float64) / 255
    means, deviations = [], []
    for counts in _histograms(split).double():
        share = counts / counts.sum()
        mean = (share * values).sum()
        means.append(float(mean))
        deviations.append(max(float((share * (values - mean) ** 2).sum().sqrt()), 1e-3))
    return tuple(means), tuple(deviations)


def _histograms(split: Split) -> Tensor:
    """How often each channel has each value: int64 [C, 256]."""
    counts = torch.zeros((split.images.shape[1], 256), dtype=torch.int64)
    for part in split.parts():
        for channel, histogram in enumerate(counts):
            histogram += torch.bincount(part[:, channel].flatten(), minlength=256)
    return counts


def check_split(split: Split, heads: tuple[Head, ...], where: str) -> None:
    """Refuse a split that cannot be trained on.

    Raises:
        DataError: Wrong shape or type, no samples, targets of another number or outside what they
            may be, or a task without any.
    """
    if split.images.dtype != torch.uint8 or split.images.ndim != 4:
        raise DataError(
            f"{where}: images must be uint8 [N, C, H, W], not {split.images.dtype} "
            f"{list(split.images.shape)}"
        )
    for head in heads:
        _check_targets(head, split.targets[head.name], len(split), where)


def _check_targets(head: Head, targets: Tensor, samples: int, where: str) -> None:
    if len(targets) != samples or not samples:
        raise DataError(
            f"{where}: {samples} images and {len(targets)} {called(head.name)}; "
            "give one label an image, and at least one image"
        )
    if not bool(head.known(targets).any()):
        raise DataError(
            f"{where}: no sample has a target of '{head.name}'; give some of them one, or another "
            "data.seed"
        )
    if head.kind == "class":
        low, high = int(targets.min()), int(targets.max())
        if low < (MISSING_CLASS if head.optional else 0) or high >= head.size:
            told = f"labels run from {low} to {high}, outside 0 to {head.size - 1}"
            raise DataError(f"{where}: {told}")
    elif head.kind == "labels" and targets.shape[1] != head.size:
        told = f"{targets.shape[1]} columns of '{head.name}', and {head.size} labels"
        raise DataError(f"{where}: {told}; give a column a label")
