"""Batches that worker processes read ahead."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from kdsearch.data.batch import Batch
from kdsearch.data.feeds.processes import reader_context, start_reader, without_main
from kdsearch.data.images.spilled import spilled
from kdsearch.data.modalities.catalogue import modality_of
from kdsearch.data.views.views import TargetViews, Views, sides_of
from kdsearch.errors import DataError, KdsearchError, RunError

_SHARED_MEMORY = Path("/dev/shm")
_Place = tuple[int, Any]
"""Epoch and sample indices [B] of a batch, as a NumPy array: a tensor would travel as a file."""


class WorkerFeed:
    """Batches of a split that worker processes read and change, some batches ahead.

    The workers compute the very views of a resident split, on one thread each, and hand them over
    in shared memory; the split's images they map from a file, other inputs they hold themselves.
    They start with the first batch, live on from epoch to epoch, and end with :meth:`close`, or
    when this process ends in any way.

    Args:
        views: The views, on the CPU.
        device: Where the batches are wanted.
        workers: Number of processes; 0 reads in this one.
        prefetch: Batches that each worker reads ahead.
        strong: The strong views of the same samples, where they are read.

    Raises:
        DataError: The images are in memory, and there is no room for the workers' file of them.
    """

    def __init__(
        self,
        views: Views,
        device: torch.device | str,
        workers: int,
        prefetch: int = 2,
        strong: Views | None = None,
    ) -> None:
        self._device = torch.device(device)
        columns = views.columns.values()
        both = [views] if strong is None else [views, strong]
        self._sample_bytes = len(both) * sum(
            4 * math.prod(modality_of(each).network_input(each).shape) for each in columns
        )
        numbers = (each for each in columns if isinstance(each, Tensor) and each.ndim == 2)
        beside = (*numbers, *views.split.targets.values(), views.split.weights, views.split.domain)
        self._beside_bytes = sum(each.nbytes for each in beside if each is not None)
        self._ahead = workers * (prefetch + 1)
        beside_inputs = views.split.without_inputs().to(self._device)
        sides = sides_of(views.split)
        self._targets = TargetViews(beside_inputs, views.augment, sides, views.seed)
        self._plan = _Plan()
        split = spilled(views.split) if workers else views.split
        self._loader: DataLoader[list[dict[str, Tensor]]] | None = DataLoader(
            _Reader([each.of(split) for each in both]),
            batch_size=None,
            sampler=self._plan,
            num_workers=workers,
            multiprocessing_context=reader_context() if workers else None,
            persistent_workers=workers > 0,
            prefetch_factor=prefetch if workers else None,
            pin_memory=self._device.type == "cuda",
            worker_init_fn=start_reader,
            # One of its own: the loader would draw from torch's, and change the training.
            generator=torch.Generator(),
        )

    def batches(self, indices: Sequence[Tensor], epoch: int) -> Iterator[Batch]:
        """As :meth:`kdsearch.data.feeds.feed.Feed.batches` says.

        Raises:
            DataError: The file of the images is gone, or shared memory is too small.
            RunError: A worker ended.
        """
        assert self._loader is not None, "the feed is closed"
        if not len(indices):
            return
        self._check_shared_memory(max(len(index) for index in indices))
        places = concatenated(indices, torch.device("cpu"))
        self._plan.places = [(epoch, index.numpy()) for index in places]
        with without_main():
            read = iter(self._loader)
        for index, here in zip(indices, concatenated(indices, self._device), strict=True):
            inputs, *strong = [
                {name: each.to(self._device, non_blocking=True) for name, each in view.items()}
                for view in self._next(read)
            ]
            yield Batch(inputs, self._targets.batch(here, epoch), epoch, index, *strong)

    def close(self) -> None:
        """End the workers and wait for them; it may be called again."""
        loader, self._loader = self._loader, None
        iterator: Any = None if loader is None else loader._iterator
        if iterator is not None:
            # What the loader's destructor calls, which would wait for the last reference to go.
            iterator._shutdown_workers()

    def _next(self, batches: Iterator[list[dict[str, Tensor]]]) -> list[dict[str, Tensor]]:
        try:
            read: Any = next(batches)
        except (RuntimeError, OSError, EOFError) as error:
            dead = self._dead()
            self.close()
            if not dead:
                raise
            raise RunError(
                f"a process that reads samples was ended from outside (process {', '.join(dead)});"
                " most often memory ran out: lower resources.loaders or training.batch_size"
            ) from error
        if isinstance(read, KdsearchError):
            self.close()
            raise read
        return read

    def _dead(self) -> list[str]:
        """Process ids of workers that have ended; a connection may tell a moment before that."""
        workers = self._processes()
        wait([worker.sentinel for worker in workers], timeout=1)
        return [str(worker.pid) for worker in workers if not worker.is_alive()]

    def _processes(self) -> Sequence[Any]:
        iterator: Any = None if self._loader is None else self._loader._iterator
        return getattr(iterator, "_workers", ())

    def _check_shared_memory(self, batch: int) -> None:
        """Refuse batches that would not fit: writing beyond shared memory kills the worker."""
        if not self._ahead or self._processes() or not _SHARED_MEMORY.is_dir():
            return
        facts = os.statvfs(_SHARED_MEMORY)
        ahead = self._ahead * batch * self._sample_bytes
        needed, free = ahead + self._beside_bytes, facts.f_bavail * facts.f_frsize
        if needed > free:
            raise DataError(
                f"batches that are read ahead take {needed / 1e9:.1f} GB of {_SHARED_MEMORY}, "
                f"which has {free / 1e9:.1f} GB free; give the container more (docker run "
                "--shm-size), or lower resources.loaders"
            )


def concatenated(indices: Sequence[Tensor], device: torch.device) -> tuple[Tensor, ...]:
    """The indices of each batch on ``device``, which they reach in one transfer."""
    if not len(indices):
        return ()
    return torch.cat(list(indices)).to(device).split([len(index) for index in indices])


class _Plan(Sampler[_Place]):
    """What is to be read in the epoch to come."""

    def __init__(self) -> None:
        self.places: Sequence[_Place] = ()

    def __iter__(self) -> Iterator[_Place]:
        return iter(self.places)


class _Reader(Dataset[Any]):
    """The inputs of a batch under each of the views, as a worker computes them."""

    def __init__(self, views: Sequence[Views]) -> None:
        self._views = views

    def __getitem__(self, place: _Place) -> list[dict[str, Tensor]] | KdsearchError:
        epoch, index = place
        try:
            return [each.inputs(torch.from_numpy(index), epoch) for each in self._views]
        except KdsearchError as error:
            # As a value: raised, it would reach the other process with a traceback for a message.
            return error
