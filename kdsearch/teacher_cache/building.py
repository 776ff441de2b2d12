"""Building a cache, by several processes at once: who builds which part, and who waits."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from itertools import product

import torch
from filelock import FileLock, Timeout

from kdsearch.data import Feed
from kdsearch.models import Signal
from kdsearch.teacher_cache.asking import Questioner
from kdsearch.teacher_cache.folders import work_in
from kdsearch.teacher_cache.layout import Layout
from kdsearch.teacher_cache.parts import map_part, read_facts
from kdsearch.training.teacher import Teaching

Fetch = Callable[[Layout, Signal, int, int], None]
"""Brings a signal of an epoch's part, if another node has it, into this one's folder."""


class CacheBuilder:
    """Builds the parts of a cache.

    Several processes may build one cache: a part is built by the one that holds its lock, which
    goes with the process however that ends.

    Args:
        layout: The cache.
        teacher: TeacherSignals; on ``device``.
        open_feed: Opens the split's views, on ``device``.
        kept: By signal the number of epochs that are kept, from the first.
        device: Where the teacher answers.

    Attributes:
        fetch: Looks for a part on other nodes before it is built.
    """

    def __init__(
        self,
        layout: Layout,
        teacher: Teaching,
        open_feed: Callable[[], Feed],
        kept: Mapping[Signal, int],
        device: torch.device | str = "cpu",
    ) -> None:
        self.layout = layout
        self.teacher = teacher
        self.kept = dict(kept)
        self.device = torch.device(device)
        self.fetch: Fetch | None = None
        self._questioner = Questioner(layout, teacher, open_feed)

    def signals(self, epoch: int) -> frozenset[Signal]:
        """What is kept of the answers to an epoch's views."""
        return frozenset(signal for signal, epochs in self.kept.items() if epoch < epochs)

    def missing(self, epoch: int, part: int) -> frozenset[Signal]:
        """What is kept of a part and is not there yet."""
        return frozenset(
            signal
            for signal in self.signals(epoch)
            if read_facts(self.layout, signal, epoch, part) is None
        )

    def build(self, parts: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
        """Have some (epoch, part) there, and tell of each as soon as it is.

        Parts that other processes are about are waited for at the end.

        Raises:
            TeacherError: An answer cannot be stored.
        """
        busy = []
        with closing(self._questioner):
            for epoch, part in parts:
                if self._try(epoch, part):
                    yield epoch, part
                else:
                    busy.append((epoch, part))
            for epoch, part in busy:
                self._have(epoch, part)
                yield epoch, part

    def build_epoch(self, epoch: int) -> None:
        """Have all parts of an epoch there.

        Parts that other processes are about are waited for by building the epochs ahead.

        Raises:
            TeacherError: An answer cannot be stored.
        """
        later = product(range(epoch + 1, self._epochs), self.layout.parts)
        with closing(self._questioner):
            busy = self._busy(epoch, self.layout.parts)
            while busy:
                ahead = next(later, None)
                if ahead is None:  # nothing else is left to do
                    self._have(epoch, busy[0])
                else:
                    self._try(*ahead)
                busy = self._busy(epoch, busy)

    def rebuild(self, signal: Signal, epoch: int, part: int) -> None:
        """Build a signal of a part anew if it cannot be read.

        Raises:
            TeacherError: An answer cannot be stored.
        """
        with closing(self._questioner), self._locked(epoch, part):
            if map_part(self.layout, signal, epoch, part) is None:
                self._questioner.ask(epoch, part, {signal})

    @property
    def _epochs(self) -> int:
        """Epochs under which anything is stored."""
        most = max(self.kept.values(), default=0)
        return self.layout.stored_epoch(most - 1) + 1 if most else 0

    def _busy(self, epoch: int, parts: Iterable[int]) -> list[int]:
        """Those of the parts that other processes are about; the others are there now."""
        return [part for part in parts if not self._try(epoch, part)]

    def _try(self, epoch: int, part: int) -> bool:
        """Have a part there, unless another process is about it; whether it is there now."""
        try:
            self._have(epoch, part, timeout=0)
        except Timeout:
            return False
        return True

    def _have(self, epoch: int, part: int, timeout: float = -1) -> None:
        """Have a part there, waiting for who is about it."""
        if not self.missing(epoch, part):
            return
        with self._locked(epoch, part, timeout):
            if self.fetch is not None:
                for signal in self.missing(epoch, part):
                    self.fetch(self.layout, signal, epoch, part)
            missing = self.missing(epoch, part)
            if missing:
                self._questioner.ask(epoch, part, missing)

    @contextmanager
    def _locked(self, epoch: int, part: int, timeout: float = -1) -> Iterator[None]:
        lock = FileLock(self.layout.lock(epoch, part), timeout=timeout)
        with work_in(self.layout.place, lock.acquire):
            yield
