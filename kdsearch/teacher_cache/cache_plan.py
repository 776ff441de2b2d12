"""Which signals of one teacher are cached, for how many epochs, under which key, in which files."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from kdsearch.data import Dataset, Feed, make_feed
from kdsearch.models import Network, Signal, SignalShapes
from kdsearch.models.libraries.catalogue import with_own_view
from kdsearch.models.weights import tensors_of
from kdsearch.spec.concrete import ModelConfig
from kdsearch.spec.sections import Augmentation
from kdsearch.training.own_code import code_digest
from kdsearch.training.teacher import SplitName

FORMAT = 2
"""Raised when signals are computed or stored in another way: earlier caches are then not found."""

PART = 16_384
"""Most samples of one file: what a worker builds, and what is built again when it is corrupt."""

PART_BYTES = 1 << 28
"""Most bytes of one file, since a part is held in memory while it is built."""

Precision = Literal["float32", "float16"]


@dataclass(frozen=True)
class SplitViews:
    """The views of a split that a teacher runs on.

    Attributes:
        split: Which split.
        augment: Random changes of its samples, or ``None`` for the plain ones.
        seed: Seed of the changes.
        epochs: Epochs of a trial.
    """

    split: Literal["train"] | SplitName
    augment: Augmentation | None
    seed: int
    epochs: int

    @property
    def plain(self) -> bool:
        """Whether a sample looks the same in every epoch."""
        return self.augment is None or self.augment == Augmentation()

    def has_views(self, seed: int) -> bool:
        """Whether views of a seed are these; they are wherever nothing changes the samples."""
        return self.plain or seed == self.seed

    @property
    def stored_epochs(self) -> int:
        """Epochs whose views differ: one, where nothing changes the samples."""
        return min(self.epochs, 1) if self.plain else self.epochs

    def feed(
        self, data: Dataset, device: torch.device, loaders: int, wanted: Collection[str]
    ) -> Feed:
        """The wanted inputs as a training has them, on a device that need not hold all samples."""
        split = data.splits[self.split]
        return make_feed(split, data.scales, self.augment, self.seed, device, loaders, wanted)


@dataclass(frozen=True)
class CachePlan:
    """A cache of one teacher's signals; plain data, which travels between processes.

    The key names the content: the teacher's weights, the samples, how they are augmented, and how
    the signals are stored. Equal keys have equal signals, so studies share a cache.

    Attributes:
        folder: Where caches are, each in a folder of its key.
        key: Digest of the content.
        samples: Samples of the split.
        views: The views that the teacher runs on.
        sizes: Bytes that one sample's signal takes, by wanted signal.
        cached: By signal the number of a trial's epochs, from the first, that are cached.
        dtype: How the signals are stored.
        top_k: How many logits of a sample are stored; ``None`` for all.
        part: Most samples of one file.
    """

    folder: Path
    key: str
    samples: int
    views: SplitViews
    sizes: dict[Signal, int]
    cached: dict[Signal, int]
    dtype: Precision = "float32"
    top_k: int | None = None
    part: int = PART

    @property
    def bytes(self) -> int:
        """Bytes of all that is cached."""
        return sum(self.sizes[each] * self.samples * self._stored(each) for each in self.cached)

    @property
    def epochs(self) -> int:
        """Epochs that the teacher runs over: one, where nothing changes the samples."""
        return max(map(self._stored, self.cached), default=0)

    def _stored(self, signal: Signal) -> int:
        return min(self.cached[signal], self.views.stored_epochs)

    def signals(self, epoch: int) -> frozenset[Signal]:
        """The signals of an epoch's views that are cached."""
        return frozenset(signal for signal, epochs in self.cached.items() if epoch < epochs)

    def stored_epoch(self, epoch: int) -> int:
        """The epoch under which the signals of an epoch's views are stored."""
        return 0 if self.views.plain else epoch

    def loses(self, signal: Signal) -> bool:
        """Whether storing changes a signal; measuring that takes as long as a small teacher."""
        return self.dtype != "float32" or (signal == Signal.LOGITS and self.top_k is not None)

    @property
    def place(self) -> Path:
        """The folder of this cache."""
        return self.folder / self.key

    @property
    def parts(self) -> range:
        """Numbers of the files of one signal and epoch."""
        return range(-(-self.samples // self.part))

    def rows(self, part: int) -> range:
        """The samples of a file; files differ by one sample at most."""
        count = len(self.parts)
        return range(part * self.samples // count, (part + 1) * self.samples // count)

    def part_of(self, index: Tensor) -> Tensor:
        """The files [B] in which the samples at ``index`` [B] are."""
        # the largest p with p · samples / count < i + 1
        return ((index + 1) * len(self.parts) - 1) // self.samples

    def file(self, signal: Signal, epoch: int, part: int) -> Path:
        """The file of a part of a signal."""
        return self.place / f"{signal}-{epoch:04d}-{part:03d}.safetensors"


def plan_cache(
    digest: str,
    shapes: SignalShapes,
    wanted: Collection[Signal],
    data: Dataset,
    views: SplitViews,
    folder: Path,
    budget: float,
    dtype: Precision = "float32",
    top_k: int | None = None,
) -> CachePlan:
    """The cache of a teacher's signals within a budget.

    Args:
        digest: Of the teacher (:func:`teacher_digest`).
        shapes: Shapes of its signals.
        wanted: Signals that are read.
        data: The data set.
        views: The views that the teacher runs on.
        folder: Where caches are.
        budget: Bytes that this one may take.
        dtype: How signals are stored.
        top_k: Of the logits, store only so many of the largest.
    """
    samples = len(data.splits[views.split])
    sizes = {signal: signal_bytes(signal, shapes, dtype, top_k) for signal in wanted}
    stored = allot(sizes, samples, views.stored_epochs, budget)
    cached = {s: views.epochs if views.plain and epochs else epochs for s, epochs in stored.items()}
    part = part_size([sizes[signal] for signal, epochs in cached.items() if epochs])
    key = content_key(digest, data, views, dtype, top_k, part)
    return CachePlan(folder, key, samples, views, sizes, cached, dtype, top_k, part)


def teacher_digest(network: Network, model: ModelConfig) -> str:
    """SHA-256 of a network's architecture and weights, where it is read, and a user's code."""
    own = with_own_view(model).architecture
    digest = hashlib.sha256(f"{own.model_dump_json()}{code_digest(model)}".encode())
    digest.update(repr(getattr(network, "taps", None)).encode())
    for name, value in tensors_of(network).items():
        digest.update(f"{name}{tuple(value.shape)}{value.dtype}".encode())
        flat = value.detach().cpu().contiguous().reshape(-1)
        digest.update(flat.view(torch.uint8).numpy().data)
    return digest.hexdigest()


def content_key(
    digest: str,
    data: Dataset,
    views: SplitViews,
    dtype: Precision,
    top_k: int | None,
    part: int,
) -> str:
    """The key of a cache; every sample counts, the views' seed where it changes any, epochs not."""
    augment = None if views.augment is None else views.augment.model_dump(mode="json")
    content = {
        "format": [FORMAT, part],
        "teacher": digest,
        "data": [data.fingerprint, views.split, *_scales(data)],
        "views": None if views.plain else [augment, views.seed],
        "stored": [dtype, top_k],
    }
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]


def _scales(data: Dataset) -> list[object]:
    """What the inputs are normalised by; of a single input its mean and deviation."""
    told = [[name, list(each.mean), list(each.std)] for name, each in data.scales.items()]
    return list(told[0][1:]) if len(told) == 1 else [told]


def signal_bytes(signal: Signal, shapes: SignalShapes, dtype: Precision, top_k: int | None) -> int:
    """Bytes that one sample's signal takes as it is stored, with its mask where it has one."""
    each = 2 if dtype == "float16" else 4
    if signal == Signal.LOGITS and top_k is not None and top_k < shapes.classes:
        return top_k * (each + 4) + each  # the value and the class of each, and the rest
    parts = shapes.of(signal)
    mask = next((part.length for part in parts if part.masked), 0)
    return sum(math.prod(part.shape) for part in parts) * each + mask


def part_size(bytes_per_sample: Collection[int]) -> int:
    """Samples of one file, so that none of the signals' files is too large to be held."""
    largest = max(bytes_per_sample, default=1)
    return max(min(PART, PART_BYTES // max(largest, 1)), 1)


def allot(
    wanted: Mapping[Signal, int], samples: int, epochs: int, budget: float
) -> dict[Signal, int]:
    """How many epochs of each signal, from the first, are stored within a budget of bytes.

    The smallest signal is served first: many methods read logits, few read whole maps. Early epochs
    come before late ones: every trial needs them, also one that is stopped early.
    """
    stored: dict[Signal, int] = {}
    for signal, size in sorted(wanted.items(), key=lambda item: (item[1], item[0])):
        an_epoch = size * samples
        fits = epochs * an_epoch <= budget
        stored[signal] = epochs if fits else max(int(budget // an_epoch), 0)
        budget -= stored[signal] * an_epoch
    return stored
