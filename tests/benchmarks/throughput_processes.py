"""Processes that train beside each other, or do one thing, with the seconds that it takes."""

from __future__ import annotations

import multiprocessing
import os
import time
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import torch


class Side:
    """Equal trainings side by side, each in its own process.

    Args:
        make: Makes a training in its process.
        given: For it.
        cores: What the processes, and those that they start, run on.
        threads: Of PyTorch, in each.
        count: How many.
    """

    def __init__(
        self, make: Callable[..., Any], given: tuple, cores: set[int], threads: int, count: int
    ) -> None:
        context = multiprocessing.get_context("spawn")
        self.count = count
        self._ends = []
        self._processes = []
        for _ in range(count):
            here, there = context.Pipe()
            process = context.Process(target=_serve, args=(there, make, given, cores, threads))
            process.start()
            there.close()
            self._ends.append(here)
            self._processes.append(process)
        self._wait(self._ends)

    def do(self, method: str, count: int | None = None) -> float:
        """Wall seconds of a method that is called in the first ``count`` processes at once."""
        ends = self._ends[:count]
        start = time.perf_counter()
        for end in ends:
            end.send(method)
        self._wait(ends)
        return time.perf_counter() - start

    def close(self) -> None:
        """End the processes."""
        for end in self._ends:
            with suppress(BrokenPipeError):  # one that broke has ended already
                end.send(None)
        for process in self._processes:
            process.join()

    @staticmethod
    def _wait(ends: Sequence[Any]) -> None:
        for end in ends:
            end.recv()  # raises EOFError where the process broke


def _serve(
    connection: Any, make: Callable[..., Any], given: tuple, cores: set[int], threads: int
) -> None:
    """Make something in a process of its own and call it as it is told."""
    os.sched_setaffinity(0, cores)
    torch.set_num_threads(threads)
    # of two loader processes on one core, which is measured beside none
    warnings.filterwarnings("ignore", message="This DataLoader will create")
    made = make(*given)
    connection.send(None)
    while (method := connection.recv()) is not None:
        getattr(made, method)()
        connection.send(None)


def seconds_of(work: Callable[..., None], *given: Any) -> float:
    """Wall clock of a process that does some work, from its start to its end.

    Raises:
        RuntimeError: The work failed.
    """
    process = multiprocessing.get_context("spawn").Process(target=work, args=given)
    start = time.perf_counter()
    process.start()
    process.join()
    if process.exitcode:
        raise RuntimeError(f"{work.__name__} ended with {process.exitcode}; see above")
    return time.perf_counter() - start
