"""What the tests of the cache share: plans, a teacher that counts, and answers to compare with."""

from __future__ import annotations

import pickle
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from kdsearch.data import Batch, Dataset, Views
from kdsearch.models import Signal, Signals
from kdsearch.spec.augmentation import (
    Augmentation,
    ColorJitter,
    RandAugment,
    RandomErasing,
    RandomResizedCrop,
)
from kdsearch.spec.concrete import ModelConfig
from kdsearch.teacher_cache.building import CacheBuilder
from kdsearch.teacher_cache.cache_plan import CachePlan, SplitViews, plan_cache, teacher_digest
from kdsearch.teacher_cache.cached import CachedTeacher
from kdsearch.training.packing import pack_teacher
from kdsearch.training.teacher import Teacher, Teaching

MODEL = ModelConfig(family="convnet", width=1, depth=3)
"""The teacher of the fixture ``make_teacher``."""

SHOWN = tuple(signal for signal in Signal if signal != Signal.SELF_ATTENTION)
"""The signals of a network of maps."""

CHANGING = Augmentation(crop=1, mixup=0.2)
PICTURES = Augmentation(
    random_resized_crop=RandomResizedCrop(scale=(0.3, 1.0)),
    vertical_flip=True,
    rotation=20,
    trivial_augment=True,
    color_jitter=ColorJitter(brightness=0.3, contrast=0.3),
    random_erasing=RandomErasing(),
    mixup=0.2,
    cutmix=1,
)
RANDOM = Augmentation(crop=1, rand_augment=RandAugment(), cutmix=1)
CPU = torch.device("cpu")


def plan_of(
    teacher: Teacher,
    data: Dataset,
    folder: Path,
    wanted: Collection[Signal] = SHOWN,
    augment: Augmentation | None = CHANGING,
    epochs: int = 2,
    part: int | None = None,
    **changes: Any,
) -> CachePlan:
    """All answers to the training views of seed 7; with ``part``, in files of so many samples."""
    views = SplitViews("train", augment, 7, epochs)
    digest = teacher_digest(teacher.network, MODEL)
    settings: dict[str, Any] = {"budget": float("inf"), **changes}
    plan = plan_cache(
        digest, teacher.shapes, wanted, data, views, folder, settings.pop("budget"), **settings
    )
    return plan if part is None else replace(plan, part=part)


class Counting(Teaching):
    """A teacher that notes how often it was asked about each view while a cache was built."""

    def __init__(self, teacher: Teaching, log: Path | None = None) -> None:
        self.network, self.shapes = teacher.network, teacher.shapes
        self.asked: Counter[tuple[int, int]] = Counter()
        self.checks = 0
        self._teacher = teacher
        self._log = log

    def observe(self, batch: Batch, wanted: Collection[Signal]) -> Signals:
        if len(batch) < len(batch.index):  # a few views beside the cache
            self.checks += 1
        else:
            places = [(batch.epoch, place) for place in batch.index.tolist()]
            self.asked.update(places)
            if self._log is not None:
                with self._log.open("a") as log:
                    log.writelines(f"{epoch} {place}\n" for epoch, place in places)
        return self._teacher.observe(batch, wanted)


def views_of(plan: CachePlan, data: Dataset, device: torch.device) -> Views:
    """The views that a cache is of, all images on a device."""
    views = plan.views
    split = getattr(data, views.split).to(device)
    return Views(split, data.scales, views.augment, views.seed)


def batch_of(plan: CachePlan, data: Dataset, index: Tensor, epoch: int) -> Batch:
    return views_of(plan, data, CPU).batch(index, epoch)


def cached(plan: CachePlan, teacher: Teaching, data: Dataset) -> CachedTeacher:
    return CachedTeacher(CacheBuilder(plan, teacher, data, CPU))


def tensors_of(answers: Signals, signals: Iterable[Signal] = SHOWN) -> list[Tensor]:
    """Every tensor of the answers, in a fixed order."""
    found: list[Tensor] = []
    for signal in sorted(signals):
        value = getattr(answers, signal.value)
        found.extend(value if isinstance(value, tuple) else [value])
    return found


def sums_of(answers: Signals) -> list[float]:
    """The sum of each tensor of the answers."""
    return [float(value.sum(dtype=torch.float64)) for value in tensors_of(answers)]


def same_bits(one: Signals, other: Signals) -> bool:
    pairs = zip(tensors_of(one), tensors_of(other), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def build(plan: CachePlan, teacher: Teaching, data: Dataset) -> None:
    """Everything that is kept."""
    for epoch in range(plan.epochs):
        CacheBuilder(plan, teacher, data, CPU).build_epoch(epoch)


def write_order(file: Path, plan: CachePlan, teacher: Teacher) -> None:
    """What another process needs to read or build the same cache."""
    file.write_bytes(pickle.dumps({"plan": plan, "teacher": pack_teacher(MODEL, teacher)}))
