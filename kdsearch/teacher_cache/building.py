"""Building a cache by several processes at once: each part by the one that holds its lock."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from itertools import product

import torch
from filelock import FileLock, Timeout
from torch import Tensor

from kdsearch.data import Batch, Dataset, Feed
from kdsearch.models import Signal
from kdsearch.teacher_cache.cache_plan import CachePlan
from kdsearch.teacher_cache.encoding import StorageError, Stored, encode
from kdsearch.teacher_cache.parts import map_part, missing, work_in, write_part
from kdsearch.training.teacher import Teaching

BATCH = 256
"""Most views that the teacher runs on at a time."""

Piece = tuple[int, int]
"""An epoch and the number of a part."""

Fetch = Callable[[CachePlan, Signal, int, int], None]
"""Copies a signal of an epoch's part, if another node has it, into this one's folder."""


class CacheBuilder:
    """Builds the parts of a cache.

    Several processes may build one cache; a part's lock goes with the process that holds it,
    however that ends. Every method that builds raises ``TeacherError`` where a signal cannot be
    stored and ``UnwritableError`` where the folder cannot be written.

    Args:
        plan: The cache.
        teacher: The teacher; on ``device``.
        data: The data set. Views may take memory, or processes that read, so they are open only
            while parts are built.
        device: Where the teacher runs.
        loaders: Processes that read samples where these do not fit on the device.

    Attributes:
        fetch: Looks for a part on other nodes before it is built.
    """

    def __init__(
        self,
        plan: CachePlan,
        teacher: Teaching,
        data: Dataset,
        device: torch.device,
        loaders: int = 1,
    ) -> None:
        self.plan = plan
        self.teacher = teacher
        self.fetch: Fetch | None = None
        self._one_class = bool(data.problem.class_heads) and not data.problem.several
        self._open_feed = partial(plan.views.feed, data, device, loaders, teacher.inputs)
        self._feed: Feed | None = None

    def build(self, parts: Iterable[Piece], later: Iterable[Piece] = ()) -> Iterator[Piece]:
        """Build some parts unless they are there, and give each as soon as it is there.

        While other processes are building the last of them, this one builds of ``later``.
        """
        busy, ahead = list(parts), iter(later)
        with closing(self):
            while busy:
                waiting = []
                for place in busy:
                    if self._try(*place):
                        yield place
                    else:
                        waiting.append(place)
                following = next(ahead, None) if waiting else None
                if following is not None:
                    self._try(*following)
                elif waiting:  # nothing else is left to do
                    self._build(*waiting[0])
                busy = waiting

    def build_epoch(self, epoch: int) -> None:
        """Build all parts of an epoch unless they are there."""
        later = product(range(epoch + 1, self.plan.epochs), self.plan.parts)
        for _ in self.build(product([epoch], self.plan.parts), later):
            pass

    def rebuild(self, signal: Signal, epoch: int, part: int) -> None:
        """Build a signal of a part anew if it cannot be read."""
        with closing(self), self._locked(epoch, part):
            if map_part(self.plan, signal, epoch, part) is None:
                self._compute(epoch, part, {signal})

    def close(self) -> None:
        """Free what the views take; they are opened again when they are needed."""
        if self._feed is not None:
            self._feed.close()
            self._feed = None

    def _try(self, epoch: int, part: int) -> bool:
        """Build a part unless another process is building it; whether it is there now."""
        try:
            self._build(epoch, part, timeout=0)
        except Timeout:
            return False
        return True

    def _build(self, epoch: int, part: int, timeout: float = -1) -> None:
        """Build a part unless it is there, waiting for another process that is building it."""
        if not missing(self.plan, epoch, part):
            return
        with self._locked(epoch, part, timeout):
            if self.fetch is not None:
                for signal in missing(self.plan, epoch, part):
                    self.fetch(self.plan, signal, epoch, part)
            if wanted := missing(self.plan, epoch, part):
                self._compute(epoch, part, wanted)

    @contextmanager
    def _locked(self, epoch: int, part: int, timeout: float = -1) -> Iterator[None]:
        lock = FileLock(self.plan.place / f".{epoch:04d}-{part:03d}.lock", timeout=timeout)
        with work_in(self.plan.place, lock.acquire):
            yield

    def _compute(self, epoch: int, part: int, wanted: Collection[Signal]) -> None:
        """Run the teacher on the views of a part and write some of its signals."""
        plan = self.plan
        rows: dict[Signal, list[Stored]] = {signal: [] for signal in wanted}
        classes = self.teacher.shapes.classes
        errors = {signal: StorageError(signal, classes, self._one_class) for signal in wanted}
        for batch in self._batches(epoch, part):
            signals = self.teacher.observe(batch, wanted)
            for signal in wanted:
                stored = encode(signal, signals, plan.dtype, plan.top_k)
                if plan.loses(signal):
                    errors[signal].add(signals, stored)
                rows[signal].append({name: value.cpu() for name, value in stored.items()})
        for signal in wanted:
            whole = {name: torch.cat([r[name] for r in rows[signal]]) for name in rows[signal][0]}
            write_part(plan, signal, epoch, part, whole, errors[signal].summary())

    def _batches(self, epoch: int, part: int) -> Iterator[Batch]:
        if self._feed is None:
            self._feed = self._open_feed()
        rows = self.plan.rows(part)
        return self._feed.batches(evenly(torch.arange(rows.start, rows.stop)), epoch)


def evenly(index: Tensor) -> tuple[Tensor, ...]:
    """Batches of about one size: in a batch of one or two samples networks round otherwise."""
    return index.tensor_split(-(-len(index) // BATCH))
