"""The first epochs of the caches, built by a group of Ray Train workers before the search."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Mapping
from functools import partial
from itertools import product
from typing import Any

from kdsearch.errors import RunError, TeacherError
from kdsearch.spec.sections import CacheSection
from kdsearch.spec.study import StudySpec
from kdsearch.teacher_cache.building import CacheBuilder
from kdsearch.teacher_cache.cache_plan import CachePlan
from kdsearch.teacher_cache.contents import Caches, TeacherCache
from kdsearch.teacher_cache.driver_node import workers_with_room
from kdsearch.teacher_cache.parts import UnwritableError
from kdsearch.training.packing import unpack_teacher
from kdsearch.training.ray_train import Group, SharedData, Worker, run_on_workers

WORTH_WORKERS = 120.0
"""Seconds of computing from which on a group of workers, ten seconds to start, is worth it."""


def epochs_ahead(cache: TeacherCache, section: CacheSection) -> int:
    """Epochs that workers build ahead of the search: none where that is quickly done."""
    if section.workers == 0:
        return 0
    if section.workers is None and (cache.seconds_left or 0.0) < WORTH_WORKERS:
        return 0
    ahead = section.ahead or -(-cache.plan.views.epochs // 4)
    return min(ahead, cache.plan.epochs)


def build_ahead(
    caches: Caches,
    packed_teachers: Mapping[str, dict[str, Any]],
    spec: StudySpec,
    data: SharedData,
    on_part: Callable[[str, int, int], None],
) -> None:
    """Let Ray Train workers build the first epochs that the trials will need.

    Where the folder cannot be written the trials go on without; standard error tells so.

    Args:
        caches: The caches of the study.
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
        workers = spec.cache.workers or spec.resources.concurrent
        count = min(workers, missing, workers_with_room(spec.resources))
        group = Group(count, spec.resources, caches.folder, f"{cache.plan.key}.run")
        given = {"plan": cache.plan, "teacher": packed_teachers[name], "epochs": epochs}
        progress = _Progress(partial(on_part, name), epochs * len(cache.plan.parts))
        try:
            run_on_workers(_build, given, data, group, progress.take)
        except RunError as error:
            raise TeacherError(f"the teacher's signals could not be cached: {error}") from error
        shutil.rmtree(group.storage / group.name, ignore_errors=True)


class _Progress:
    """Passes on what the workers of one cache tell; each part counts once."""

    def __init__(self, on_part: Callable[[int, int], None], total: int) -> None:
        self._on_part = on_part
        self._total = total
        self._done: set[tuple[int, int]] = set()
        self._warned = False

    def take(self, report: dict[str, Any]) -> None:
        if "part" in report:
            self._done.add(tuple(report["part"]))
            self._on_part(len(self._done), self._total)
        elif not self._warned:
            self._warned = True
            print(f"kdsearch: {report['unwritable']}", file=sys.stderr, flush=True)


def _build(worker: Worker, given: dict[str, Any]) -> None:
    plan: CachePlan = given["plan"]
    device = worker.hardware.device
    teacher = unpack_teacher(given["teacher"], device)
    builder = CacheBuilder(plan, teacher, given["data"], device, worker.hardware.loaders)
    epochs = range(min(given["epochs"], plan.epochs))
    parts = list(product(epochs, plan.parts))
    try:
        # neighbours go to different workers, so that the epochs that are needed first come first
        for built in builder.build(parts[worker.ranks.rank :: worker.ranks.world_size]):
            worker.tell({"part": built})
    except UnwritableError as error:
        worker.tell({"unwritable": str(error)})
