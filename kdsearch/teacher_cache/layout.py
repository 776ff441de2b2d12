"""What a cache of a teacher's answers holds, under which key, in which files."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from kdsearch.data import Dataset
from kdsearch.models import Network, Signal
from kdsearch.spec.concrete import ModelConfig
from kdsearch.spec.sections import Augmentation

FORMAT = 1
"""Raised when answers are computed or stored in another way: earlier caches are then not found."""

PART = 16_384
"""Most samples of one file: what a worker builds, and what is built again when it is damaged."""

PART_BYTES = 1 << 28
"""Most bytes of one file, since a part is held in memory while it is built."""

Precision = Literal["float32", "float16"]
AnySplit = Literal["train", "validation", "test"]


@dataclass(frozen=True)
class Layout:
    """One teacher's answers to all views of a split.

    The key names the content: the teacher's weights, the pictures, the way they are changed, and
    how the answers are stored. Equal keys have equal answers, so studies share a cache.

    Attributes:
        folder: Where caches are kept, each in a folder of its key.
        key: What the answers are made from.
        samples: Samples of the split.
        dtype: How the answers are stored.
        top_k: How many logits of a sample are stored; ``None`` for all.
        part: Most samples of one file.
        plain: Whether nothing changes the pictures, so that one epoch's answers are every one's.
    """

    folder: Path
    key: str
    samples: int
    dtype: Precision = "float32"
    top_k: int | None = None
    part: int = PART
    plain: bool = False

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
        """The files [B] in which the samples at ``index`` [B] lie."""
        # the largest p with p · samples / count < i + 1
        return ((index + 1) * len(self.parts) - 1) // self.samples

    def stored_epoch(self, epoch: int) -> int:
        """The epoch under which the answers to an epoch's views are kept."""
        return 0 if self.plain else epoch

    def loses(self, signal: Signal) -> bool:
        """Whether storing changes a signal; measuring that takes as long as a small teacher."""
        return self.dtype != "float32" or (signal == Signal.LOGITS and self.top_k is not None)

    def file(self, signal: Signal, epoch: int, part: int) -> Path:
        """Where a signal of an epoch's views lies."""
        return self.place / f"{signal}-{epoch:04d}-{part:03d}.safetensors"

    def lock(self, epoch: int, part: int) -> Path:
        """The file that a process locks while it builds a part."""
        return self.place / f".{epoch:04d}-{part:03d}.lock"


def is_plain(augment: Augmentation | None) -> bool:
    """Whether a picture looks the same in every epoch."""
    return augment is None or augment == Augmentation()


def teacher_digest(network: Network, model: ModelConfig) -> str:
    """SHA-256 of a network's architecture and weights."""
    digest = hashlib.sha256(model.model_dump_json().encode())
    for name, value in network.state_dict().items():
        digest.update(f"{name}{tuple(value.shape)}{value.dtype}".encode())
        flat = value.detach().cpu().contiguous().reshape(-1)
        digest.update(flat.view(torch.uint8).numpy().data)
    return digest.hexdigest()


def content_key(
    teacher: str,
    data: Dataset,
    split: AnySplit,
    augment: Augmentation | None,
    views_seed: int,
    dtype: Precision,
    top_k: int | None,
    part: int,
) -> str:
    """The key of a cache.

    Args:
        teacher: The teacher's digest.
        data: The data set; its every picture counts, and what normalises them.
        split: Which of its splits.
        augment: Random changes of the pictures, or ``None`` for the plain ones.
        views_seed: Seed of the changes; it counts where there are any.
        dtype: How the answers are stored.
        top_k: How many logits are stored.
        part: Most samples of one file.
    """
    changes = None if augment is None else augment.model_dump(mode="json")
    parts = {
        "format": [FORMAT, part],
        "teacher": teacher,
        "data": [data.fingerprint, split, data.mean, data.std],
        "views": None if is_plain(augment) else [changes, views_seed],
        "stored": [dtype, top_k],
    }
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]
