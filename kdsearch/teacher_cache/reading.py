"""The teachers as one process of a study has them: cached, on this node or another, or live."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from kdsearch.data import Dataset
from kdsearch.files import write_atomically
from kdsearch.models import Signal
from kdsearch.teacher_cache.building import CacheBuilder
from kdsearch.teacher_cache.cache_plan import CachePlan
from kdsearch.teacher_cache.cached import CachedTeacher
from kdsearch.teacher_cache.choosing import prepare_caches
from kdsearch.teacher_cache.contents import Caches
from kdsearch.teacher_cache.driver_node import DriverNode
from kdsearch.teacher_cache.parts import UnwritableError, facts_file, work_in
from kdsearch.training.by_task import ByTask
from kdsearch.training.packing import unpack_teacher
from kdsearch.training.teacher import Reference, SplitName, Teaching


class TeacherSignals:
    """The teachers of the trials of one process.

    Args:
        shared: ``teachers``, packed, by name; ``caches``, their :class:`Caches`; and
            ``driver_node``, the :class:`DriverNode` that has them; and ``by_task``, who answers
            each task where several do (:class:`ByTask`).
        data: The data set, on the device.
        device: Where the teachers run.

    Attributes:
        teachers: By name, with ``by_task`` where that may teach; they read what is cached and
            compute the rest.
        reference: The answers with which students are compared; ``None`` where the teacher has
            none in the classes of the data.
    """

    def __init__(self, shared: Mapping[str, Any], data: Dataset, device: torch.device) -> None:
        self._data, self._device = data, device
        self._driver: DriverNode = shared["driver_node"]
        self._caching: list[CachedTeacher] = []
        caches = _on_this_node(shared["caches"])
        live = {name: unpack_teacher(packed, device) for name, packed in shared["teachers"].items()}
        self._live = live
        self._views = {name: cache.plan.views for name, cache in caches.teachers.items()}
        by_task: ByTask = shared["by_task"]
        self._by_task = by_task
        self._reading: dict[str, Teaching] = dict(live)
        for name, cache in caches.teachers.items():
            if cache.plan.epochs:
                self._reading[name] = self._cached(cache.plan, live[name])
        self.teachers = by_task.beside(self._reading)

        self.reference = self._compared_with(caches)

    def _compared_with(self, caches: Caches) -> Reference | None:
        data, device, live = self._data, self._device, self._live
        compared = self._by_task.compared_with(live)
        if compared is None:
            return None

        def logits(split: SplitName) -> Tensor:
            plans = caches.reference[split]
            cached = {name: self._cached(plan, live[name]) for name, plan in plans.items()}
            answers = self._by_task.compared_with(cached)
            assert answers is not None
            return Reference(answers, data, device).logits(split)

        return Reference(compared, data, device, logits if caches.reference else None)

    @property
    def warning(self) -> str | None:
        """Why a cache could not be written and its teacher runs at every step; else ``None``."""
        return next((each.warning for each in self._caching if each.warning), None)

    def of_views(self, seed: int) -> dict[str, Teaching]:
        """The teachers by name, for views of a seed; one cached for other views computes."""
        others = {name for name, views in self._views.items() if not views.has_views(seed)}
        if not others:
            return self.teachers
        found = {n: self._live[n] if n in others else each for n, each in self._reading.items()}
        return self._by_task.beside(found)

    def _cached(self, plan: CachePlan, teacher: Teaching) -> CachedTeacher:
        builder = CacheBuilder(plan, teacher, self._data, self._device)
        self._caching.append(CachedTeacher(builder, partial(_fetch, self._driver)))
        return self._caching[-1]


def _on_this_node(caches: Caches) -> Caches:
    """The caches in their folder or, on a node that has no such folder, on its own disk."""
    here = caches if caches.folder.is_dir() else caches.in_folder(_own_folder())
    if not all(plan.place.is_dir() for plan in here.plans):
        with suppress(UnwritableError):  # which the first trial that writes there tells
            prepare_caches(here)
    return here


def _own_folder() -> Path:
    return Path(tempfile.gettempdir()) / f"kdsearch-cache-{os.getuid()}"


def _fetch(driver: DriverNode, plan: CachePlan, signal: Signal, epoch: int, part: int) -> None:
    """Copy a part to this node, if the driver's has it.

    Also looked for where this node has a folder of the name: it may be another one.
    """
    if driver.is_here:
        return
    file = plan.file(signal, epoch, part)
    wanted = [file, facts_file(file)]
    found = driver.read([str(each.relative_to(plan.folder)) for each in wanted])
    for each, content in zip(wanted, found or (), strict=bool(found)):
        work_in(plan.place, partial(write_atomically, each, content))
