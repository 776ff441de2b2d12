"""The teachers' answers as one process of a study has them: kept, fetched, or asked for."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import ray
import torch
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy
from torch import Tensor

from kdsearch.data import Dataset
from kdsearch.files import write_atomically
from kdsearch.models import Signal
from kdsearch.search.caching import Caches, prepare_caches
from kdsearch.spec.teaching import TEACHER
from kdsearch.training.cache import CachedTeacher, CachePlan, Layout, facts_file
from kdsearch.training.packing import unpack_teacher
from kdsearch.training.teacher import Batch, Reference, SplitName, Teaching, plain_views


class Answers:
    """What the trials of one process ask of the teachers.

    Args:
        shared: ``teachers``, packed, by name; ``caches``, what is kept of their answers; and
            ``server``, who hands out the files of the study's own process.
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
        self._server = shared["server"]
        caches = _on_this_node(shared["caches"])
        live = {name: unpack_teacher(packed, device) for name, packed in shared["teachers"].items()}
        self.teachers: dict[str, Teaching] = dict(live)
        for name, cache in caches.teachers.items():
            if cache.plan.epochs:
                self.teachers[name] = self._cached(cache.plan, live[name])
        first = live[TEACHER]
        answers = partial(self._logits, first, caches.reference) if caches.reference else None
        self.reference = Reference(first, data, device, answers)

    def _cached(self, plan: CachePlan, teacher: Teaching) -> CachedTeacher:
        return CachedTeacher(
            plan.builder(teacher, self._data, self._device), partial(_fetch, self._server)
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
        prepare_caches(here, here.section)
    return here


def _own_folder() -> Path:
    return Path(tempfile.gettempdir()) / f"kdsearch-cache-{os.getuid()}"


class CacheServer:
    """Hands the files of a cache out, through Ray's object store, to nodes that lack them.

    Args:
        folder: The folder, on the disk of the process that serves it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, key: str, name: str) -> tuple[bytes, bytes] | None:
        """A file's content and the facts that make it count; ``None`` where it is not there."""
        file = self._folder / key / name
        try:
            return file.read_bytes(), facts_file(file).read_bytes()
        except OSError:
            return None


def serve(folder: Path) -> ray.actor.ActorHandle:
    """A server of a folder of caches, on the node of this process."""
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    options = {"num_cpus": 0, "scheduling_strategy": here}
    lasting = {"max_restarts": -1, "max_task_retries": -1}
    return ray.remote(CacheServer).options(**options, **lasting).remote(folder.resolve())


def _fetch(
    server: ray.actor.ActorHandle, layout: Layout, signal: Signal, epoch: int, part: int
) -> None:
    """Bring a part to this node, if the server has it.

    Also asked where the study's folder is there: it may be another one of the same name.
    """
    file = layout.file(signal, epoch, part)
    found = ray.get(server.read.remote(layout.key, file.name))
    if found is not None:
        content, facts = found
        write_atomically(file, content)
        write_atomically(facts_file(file), facts)
