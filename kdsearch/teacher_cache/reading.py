"""The teachers' answers as one process of a study has them: kept, fetched, or asked for."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from kdsearch.data import Dataset
from kdsearch.files import write_atomically
from kdsearch.models import Signal
from kdsearch.spec.teaching import TEACHER
from kdsearch.teacher_cache import CachedTeacher, CachePlan, Layout, facts_file
from kdsearch.teacher_cache.choosing import prepare_caches
from kdsearch.teacher_cache.contents import Caches
from kdsearch.teacher_cache.driver_node import DriverNode
from kdsearch.training.packing import unpack_teacher
from kdsearch.training.teacher import Batch, Reference, SplitName, Teaching, plain_views


class TeacherSignals:
    """What the trials of one process ask of the teachers.

    Args:
        shared: ``teachers``, packed, by name; ``caches``, what is kept of their answers; and
            ``home``, where the study's own process has them.
        data: The data set, on the device.
        device: Where the teachers answer.

    Attributes:
        teachers: By name; they read what is kept and answer the rest themselves.
        reference: The teacher with which students are compared.

    Raises:
        TeacherError: This node has no place to keep answers in.
    """

    def __init__(self, shared: Mapping[str, Any], data: Dataset, device: torch.device) -> None:
        self._data, self._device = data, device
        self._home: DriverNode = shared["home"]
        caches = _on_this_node(shared["caches"])
        live = {name: unpack_teacher(packed, device) for name, packed in shared["teachers"].items()}
        self._live = live
        self._subjects = {name: cache.plan.subject for name, cache in caches.teachers.items()}
        self.teachers: dict[str, Teaching] = dict(live)
        for name, cache in caches.teachers.items():
            if cache.plan.epochs:
                self.teachers[name] = self._cached(cache.plan, live[name])
        first = live[TEACHER]
        answers = partial(self._logits, first, caches.reference) if caches.reference else None
        self.reference = Reference(first, data, device, answers)

    def of_views(self, seed: int) -> dict[str, Teaching]:
        """The teachers by name, for views of a seed; those kept for other views answer live."""
        others = {name for name, subject in self._subjects.items() if not subject.has_views(seed)}
        return {n: self._live[n] if n in others else each for n, each in self.teachers.items()}

    def _cached(self, plan: CachePlan, teacher: Teaching) -> CachedTeacher:
        return CachedTeacher(
            plan.builder(teacher, self._data, self._device), partial(_fetch, self._home)
        )

    def _logits(
        self, teacher: Teaching, plans: Mapping[SplitName, CachePlan], split: SplitName
    ) -> Tensor:
        kept = self._cached(plans[split], teacher)
        index = torch.arange(1)
        images, targets = plain_views(self._data, split, self._device).batch(index, 0)
        kept.observe(Batch(images, targets, 0, index), {Signal.LOGITS})  # compares with the teacher
        logits = kept.whole(Signal.LOGITS, 0).logits
        assert logits is not None
        return logits


def _on_this_node(caches: Caches) -> Caches:
    """The caches in their folder or, on a node that has no such folder, on its own disk."""
    here = caches if caches.folder.is_dir() else caches.in_folder(_own_folder())
    if not all(plan.layout.place.is_dir() for plan in here.plans):
        prepare_caches(here)
    return here


def _own_folder() -> Path:
    return Path(tempfile.gettempdir()) / f"kdsearch-cache-{os.getuid()}"


def _fetch(home: DriverNode, layout: Layout, signal: Signal, epoch: int, part: int) -> None:
    """Bring a part to this node, if the study's has it.

    Also asked for where a folder of the name is there: it may be another one.
    """
    if home.is_here:
        return
    file = layout.file(signal, epoch, part)
    wanted = [file, facts_file(file)]
    found = home.read([str(each.relative_to(layout.folder)) for each in wanted])
    for each, content in zip(wanted, found or (), strict=bool(found)):
        write_atomically(each, content)
