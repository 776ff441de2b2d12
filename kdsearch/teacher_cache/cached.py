"""A teacher that remembers."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import torch
from torch import Tensor

from kdsearch.errors import TeacherError
from kdsearch.models import Signal, Signals
from kdsearch.teacher_cache.building import CacheBuilder, Fetch
from kdsearch.teacher_cache.checking import agree
from kdsearch.teacher_cache.encoding import Stored, decode
from kdsearch.teacher_cache.folders import mark_used
from kdsearch.teacher_cache.parts import map_part
from kdsearch.training.teacher import Batch, Teaching

ON_DEVICE = 1 << 28
"""Bytes of an epoch's signal up to which it is copied to a GPU whole, and rows are picked there."""

_TRIES = 3


class CachedTeacher(Teaching):
    """A teacher's answers, read where they are kept and asked of the teacher where they are not.

    A view is a pure function of seed, epoch and sample, so what the teacher said of it once is what
    it would say now. What is kept and not yet there is built when it is first needed; while another
    process builds a part, this one builds the next. In every epoch the first batch's first views
    are also asked of the teacher, so that answers of other views, or of a network whose code has
    changed, are found out.

    Args:
        builder: The cache with its teacher; it says what is kept.
        fetch: Looks for a part on other nodes before it is built.
    """

    def __init__(self, builder: CacheBuilder, fetch: Fetch | None = None) -> None:
        builder.fetch = fetch
        self._builder = builder
        self._layout = builder.layout
        self.network = builder.teacher.network
        self.shapes = builder.teacher.shapes
        self._ready: set[int] = set()
        self._mapped: dict[tuple[Signal, int, int], Stored] = {}
        self._on_device: dict[Signal, tuple[int, Stored]] = {}
        self._checked: dict[frozenset[Signal], int] = {}

    def observe(self, batch: Batch, wanted: Collection[Signal]) -> Signals:
        """The wanted signals of a batch, without gradient.

        Raises:
            TeacherError: What is kept is not what the teacher says of these views.
        """
        wanted = frozenset(wanted)
        if not wanted <= self._builder.signals(batch.epoch):
            return self._builder.teacher.observe(batch, wanted)
        answers = Signals()
        for signal in wanted:
            rows = self._rows(signal, batch)
            answer = decode(signal, rows, self.shapes.classes)
            answers = replace(answers, **{signal.value: getattr(answer, signal.value)})
        if self._checked.get(wanted) != batch.epoch:
            self._check(batch, answers, wanted)
            self._checked[wanted] = batch.epoch
        return answers

    def whole(self, signal: Signal, epoch: int) -> Signals:
        """A signal that is kept, of all views of an epoch, on the teacher's device."""
        assert signal in self._builder.signals(epoch), f"{signal} of epoch {epoch} is not kept"
        stored = self._joined(signal, self._layout.stored_epoch(epoch), self._builder.device)
        return decode(signal, stored, self.shapes.classes)

    def _check(self, batch: Batch, answers: Signals, wanted: Collection[Signal]) -> None:
        if not agree(self._builder.teacher, self._layout, batch, answers, wanted):
            raise TeacherError(
                f"the teacher says something else of these pictures than what is kept in "
                f"{self._layout.place}; remove that folder, and set cache.disk_gb to 0 if this "
                "comes again"
            )

    def _rows(self, signal: Signal, batch: Batch) -> Stored:
        device = batch.images.device
        epoch = self._layout.stored_epoch(batch.epoch)
        if device.type == "cpu":
            return self._pick(signal, epoch, batch.index)
        resident = self._resident(signal, epoch, device)
        if resident is not None and batch.targets.index is not None:
            return {name: value[batch.targets.index] for name, value in resident.items()}
        picked = self._pick(signal, epoch, batch.index)
        # only from pinned memory does a copy not wait for the device
        return {n: value.pin_memory().to(device, non_blocking=True) for n, value in picked.items()}

    def _pick(self, signal: Signal, epoch: int, index: Tensor) -> Stored:
        """The rows of some samples [B], read from the parts that hold them."""
        first = self._part(signal, epoch, 0)
        if len(self._layout.parts) == 1:
            return {name: value[index] for name, value in first.items()}
        picked = {n: v.new_empty(len(index), *v.shape[1:]) for n, v in first.items()}
        part_of = self._layout.part_of(index)
        for part in part_of.unique().tolist():
            here = part_of == part
            places = index[here] - self._layout.rows(part).start
            for name, value in self._part(signal, epoch, part).items():
                picked[name][here] = value[places]
        return picked

    def _resident(self, signal: Signal, epoch: int, device: torch.device) -> Stored | None:
        """A whole epoch's signal on the GPU, if it is small; ``None`` where it is not."""
        known = self._on_device.get(signal)
        if known is None or known[0] != epoch:
            self._on_device.pop(signal, None)  # the last epoch's makes room first
            parts = [self._part(signal, epoch, part) for part in self._layout.parts]
            size = sum(value.nbytes for part in parts for value in part.values())
            whole = self._joined(signal, epoch, device) if size <= ON_DEVICE else {}
            known = self._on_device[signal] = epoch, whole
        return known[1] or None

    def _joined(self, signal: Signal, epoch: int, device: torch.device) -> Stored:
        parts = [self._part(signal, epoch, part) for part in self._layout.parts]
        return {name: torch.cat([part[name] for part in parts]).to(device) for name in parts[0]}

    def _part(self, signal: Signal, epoch: int, part: int) -> Stored:
        place = signal, epoch, part
        if place not in self._mapped:
            if epoch not in self._ready:
                self._builder.build_epoch(epoch)
                self._ready.add(epoch)
            self._mapped[place] = self._open(signal, epoch, part)
        return self._mapped[place]

    def _open(self, signal: Signal, epoch: int, part: int) -> Stored:
        for _ in range(_TRIES):
            rows = map_part(self._layout, signal, epoch, part)
            if rows is not None:
                mark_used(self._layout.place)
                return rows
            self._builder.rebuild(signal, epoch, part)
        raise TeacherError(
            f"what is written to {self._layout.place} does not stay there; give studies with "
            "different cache.disk_gb a cache.folder each, and check the disk"
        )
