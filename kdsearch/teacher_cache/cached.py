"""A teacher whose signals are read from a cache."""

from __future__ import annotations

import sys
import time
from collections.abc import Collection
from contextlib import suppress

import torch
from torch import Tensor

from kdsearch.data import Batch
from kdsearch.errors import TeacherError
from kdsearch.models import Signal, Signals
from kdsearch.teacher_cache.building import CacheBuilder, Fetch
from kdsearch.teacher_cache.encoding import Stored, agree, decode, with_signal
from kdsearch.teacher_cache.parts import UnwritableError, map_part, mark_used
from kdsearch.training.teacher import Teaching

ON_DEVICE = 1 << 28
"""Bytes of an epoch's signal up to which it is copied to a GPU whole, and rows are picked there."""

RETRY_SECONDS = 600.0
"""Time after which a cache that could not be written is written again."""

_TRIES = 4


class CachedTeacher(Teaching):
    """A teacher's signals, read from the cache where they are cached and computed where not.

    A view is a pure function of seed, epoch and sample, so its cached signals are those that the
    teacher would compute now. What is to be cached and is not there yet is built when it is first
    needed. In every epoch the teacher also runs on the first batch's first views, so that a cache
    of other views, or of a network whose code has changed, is found out.

    Where the cache cannot be written, what is there is read and the rest is computed.

    Args:
        builder: The cache with its teacher; it says what is cached.
        fetch: Looks for a part on other nodes before it is built.

    Attributes:
        warning: Why the cache could not be written, in one sentence; ``None`` where it could.
    """

    def __init__(self, builder: CacheBuilder, fetch: Fetch | None = None) -> None:
        builder.fetch = fetch
        self._builder = builder
        self._plan = builder.plan
        self.network = builder.teacher.network
        self.shapes = builder.teacher.shapes
        self.warning: str | None = None
        self._retry_at = 0.0
        self._ready: set[int] = set()
        self._mapped: dict[tuple[Signal, int, int], Stored] = {}
        self._on_device: dict[Signal, tuple[int, Stored]] = {}
        self._checked: dict[frozenset[Signal], int] = {}

    def observe(self, batch: Batch, wanted: Collection[Signal]) -> Signals:
        """The wanted signals of a batch, without gradient.

        Raises:
            TeacherError: The cached signals are not those that the teacher computes.
        """
        wanted = frozenset(wanted)
        if not wanted <= self._plan.signals(batch.epoch):
            return self._builder.teacher.observe(batch, wanted)
        found = Signals()
        try:
            for signal in wanted:
                one = decode(signal, self._rows(signal, batch), self.shapes.classes)
                found = with_signal(found, signal, one)
        except UnwritableError:
            return self._builder.teacher.observe(batch, wanted)
        if self._checked.get(wanted) != batch.epoch:
            if not agree(self._builder.teacher, self._plan, batch, found, wanted):
                raise TeacherError(
                    f"the teacher does not compute the signals that are cached in "
                    f"{self._plan.place}; remove that folder, and set cache.disk_gb to 0 if this "
                    "comes again"
                )
            self._checked[wanted] = batch.epoch
        return found

    def _rows(self, signal: Signal, batch: Batch) -> Stored:
        device = batch.device
        epoch = self._plan.stored_epoch(batch.epoch)
        if device.type == "cpu":
            return self._pick(signal, epoch, batch.index)
        resident = self._resident(signal, epoch, device)
        index = next(iter(batch.targets.values())).index
        if resident is not None and index is not None:
            return {name: value[index] for name, value in resident.items()}
        picked = self._pick(signal, epoch, batch.index)
        # only from pinned memory does a copy not wait for the device
        return {n: value.pin_memory().to(device, non_blocking=True) for n, value in picked.items()}

    def _pick(self, signal: Signal, epoch: int, index: Tensor) -> Stored:
        """The rows of some samples [B], read from the parts that hold them."""
        first = self._part(signal, epoch, 0)
        if len(self._plan.parts) == 1:
            return {name: value[index] for name, value in first.items()}
        picked = {n: v.new_empty(len(index), *v.shape[1:]) for n, v in first.items()}
        part_of = self._plan.part_of(index)
        for part in part_of.unique().tolist():
            here = part_of == part
            places = index[here] - self._plan.rows(part).start
            for name, value in self._part(signal, epoch, part).items():
                picked[name][here] = value[places]
        return picked

    def _resident(self, signal: Signal, epoch: int, device: torch.device) -> Stored | None:
        """A whole epoch's signal on the GPU, if it is small; ``None`` where it is not."""
        known = self._on_device.get(signal)
        if known is None or known[0] != epoch:
            self._on_device.pop(signal, None)  # the last epoch's makes room first
            parts = [self._part(signal, epoch, part) for part in self._plan.parts]
            size = sum(value.nbytes for part in parts for value in part.values())
            names = parts[0] if size <= ON_DEVICE else ()
            whole = {name: torch.cat([part[name] for part in parts]).to(device) for name in names}
            known = self._on_device[signal] = epoch, whole
        return known[1] or None

    def _part(self, signal: Signal, epoch: int, part: int) -> Stored:
        key = signal, epoch, part
        if key not in self._mapped:
            try:
                self._mapped[key] = self._open(signal, epoch, part)
            except UnwritableError as error:
                self._warn(error)
                raise
        return self._mapped[key]

    def _open(self, signal: Signal, epoch: int, part: int) -> Stored:
        for _ in range(_TRIES):
            rows = map_part(self._plan, signal, epoch, part)
            if rows is not None:
                with suppress(UnwritableError):  # a cache that others wrote may be read-only here
                    mark_used(self._plan.place)
                return rows
            if time.monotonic() < self._retry_at:
                raise UnwritableError(str(self.warning))
            if epoch in self._ready:
                self._builder.rebuild(signal, epoch, part)
            else:
                self._builder.build_epoch(epoch)
                self._ready.add(epoch)
        raise UnwritableError(
            f"what is written to {self._plan.place} does not stay there; give studies with "
            "different cache.disk_gb a cache.folder each, and check the disk"
        )

    def _warn(self, error: UnwritableError) -> None:
        """Compute what is not cached, for a while, and tell so once."""
        if self.warning is None:
            self.warning = f"the teacher runs at every step: {error}"
            print(f"kdsearch: {self.warning}", file=sys.stderr, flush=True)
        if time.monotonic() >= self._retry_at:
            self._retry_at = time.monotonic() + RETRY_SECONDS
