"""A data set in memory: three splits of pictures with what names and normalises them."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from kdsearch.errors import DataError


@dataclass(frozen=True)
class Split:
    """Pictures with their labels.

    Attributes:
        images: [N, C, H, W] uint8.
        labels: [N] int64 class indices.
    """

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, index: Tensor) -> Split:
        """The samples at ``index`` [M]."""
        return Split(self.images[index], self.labels[index])

    def to(self, device: torch.device | str) -> Split:
        """The split on another device."""
        return replace(self, images=self.images.to(device), labels=self.labels.to(device))


@dataclass(frozen=True)
class Dataset:
    """Train, validation and test splits of one data set.

    Attributes:
        name: What the spec calls the source.
        train: What students and teacher learn from.
        validation: What the search sees.
        test: What finalists are scored on, once.
        classes: Name of each class.
        mean: Per-channel mean of the training pictures, scaled to [0, 1].
        std: Per-channel standard deviation, likewise.
    """

    name: str
    train: Split
    validation: Split
    test: Split
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(channels, height, width)."""
        _, channels, height, width = self.train.images.shape
        return channels, height, width

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over every byte of the three splits and the class names."""
        digest = hashlib.sha256(json.dumps([self.name, self.classes]).encode())
        for split in (self.train, self.validation, self.test):
            digest.update(repr(tuple(split.images.shape)).encode())
            digest.update(np.ascontiguousarray(split.images.numpy()).data)
            digest.update(np.ascontiguousarray(split.labels.numpy()).data)
        return digest.hexdigest()


def channel_statistics(images: Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Per-channel mean and standard deviation of uint8 pictures [N, C, H, W], scaled to [0, 1]."""
    values = torch.arange(256, dtype=torch.float64) / 255
    means, deviations = [], []
    for channel in range(images.shape[1]):
        counts = torch.bincount(images[:, channel].flatten(), minlength=256).double()
        share = counts / counts.sum()
        mean = (share * values).sum()
        means.append(float(mean))
        deviations.append(max(float((share * (values - mean) ** 2).sum().sqrt()), 1e-3))
    return tuple(means), tuple(deviations)


def check_split(split: Split, classes: int, where: str) -> None:
    """Refuse a split that cannot be trained on.

    Raises:
        DataError: Wrong shape or type, no samples, or labels outside the classes.
    """
    if split.images.dtype != torch.uint8 or split.images.ndim != 4:
        raise DataError(
            f"{where}: pictures must be uint8 [N, C, H, W], not {split.images.dtype} "
            f"{list(split.images.shape)}"
        )
    if len(split.images) != len(split.labels) or len(split) == 0:
        raise DataError(
            f"{where}: {len(split.images)} pictures and {len(split.labels)} labels; "
            "give one label a picture, and at least one picture"
        )
    low, high = int(split.labels.min()), int(split.labels.max())
    if low < 0 or high >= classes:
        raise DataError(f"{where}: labels run from {low} to {high}, outside 0 to {classes - 1}")
