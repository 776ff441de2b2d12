"""The first of the teachers' answers, built by a group of workers before the search."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Mapping
from typing import Any

import ray

from kdsearch.spec.sections import CacheSection, ResourcesSection
from kdsearch.spec.study import StudySpec
from kdsearch.teacher_cache.contents import Caches, TeacherCache
from kdsearch.teacher_cache.workers import build_on_workers
from kdsearch.training.ray_train import Group, SharedData

WORTH_WORKERS = 120.0
"""Seconds of asking from which on a group of workers, ten seconds to start, is worth it."""


def epochs_ahead(cache: TeacherCache, section: CacheSection) -> int:
    """Epochs that workers build ahead of the search: none where that is quickly done."""
    if section.workers == 0:
        return 0
    if section.workers is None and (cache.seconds_left or 0.0) < WORTH_WORKERS:
        return 0
    ahead = section.ahead or -(-cache.plan.subject.epochs // 4)
    return min(ahead, cache.plan.epochs)


def build_ahead(
    caches: Caches,
    packed_teachers: Mapping[str, dict[str, Any]],
    spec: StudySpec,
    data: SharedData,
    on_part: Callable[[str, int, int], None],
) -> None:
    """Let Ray Train workers build the first epochs that the trials will need.

    Args:
        caches: What is kept.
        packed_teachers: The teachers by name.
        spec: The study.
        data: The data set.
        on_part: Told of progress: the teacher's name, parts that are there, and parts in all.

    Raises:
        TeacherError: A worker failed.
    """
    for name, cache in caches.teachers.items():
        epochs = epochs_ahead(cache, spec.cache)
        missing = cache.missing(epochs)
        if not missing:
            continue
        count = min(spec.cache.workers or spec.resources.concurrent, missing, _room(spec.resources))
        group = Group(count, spec.resources, caches.folder, f"{cache.plan.layout.key}.run")
        total = epochs * len(cache.plan.layout.parts)

        def told(done: int, name: str = name, total: int = total) -> None:
            on_part(name, done, total)

        build_on_workers(cache.plan, packed_teachers[name], epochs, data, group, told)
        shutil.rmtree(group.storage / group.name, ignore_errors=True)


def _room(resources: ResourcesSection) -> int:
    """Workers that Ray has room for now; more would be waited for without end."""
    have = ray.cluster_resources()
    each = {"CPU": resources.cpus_per_trial, "GPU": math.ceil(resources.gpus_per_trial)}
    return max(1, min(int(have.get(kind, 0) // need) for kind, need in each.items() if need))
