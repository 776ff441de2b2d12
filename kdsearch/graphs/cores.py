"""Processor cores: one that measures, and processes that leave it alone."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from kdsearch.errors import StudyError


def reserved_core() -> int | None:
    """The core on which a study measures latencies while trials train: the last of this process's.

    ``None`` where a process cannot choose its cores (elsewhere than on Linux): there latencies
    suffer from what else runs.

    Raises:
        StudyError: This process has one core alone.
    """
    if not hasattr(os, "sched_getaffinity"):
        return None
    cores = os.sched_getaffinity(0)
    if len(cores) < 2:
        raise StudyError(
            "latency is measured on a core that no trial uses, and this machine gives one core "
            "alone; run the study on one with more, or weigh parameters, macs or bytes instead"
        )
    return max(cores)


def leave_core(core: int | None) -> None:
    """Keep this process, every thread of it and whatever it starts, off a core.

    ``None``, or a process that has no other core, changes nothing.
    """
    if core is None:
        return
    others = os.sched_getaffinity(0) - {core}
    for thread in os.listdir("/proc/self/task") if others else ():
        with suppress(ProcessLookupError):  # it has ended meanwhile
            os.sched_setaffinity(int(thread), others)


@contextmanager
def on_core(core: int | None) -> Iterator[None]:
    """This thread on one core, and then where it was before."""
    if core is None:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
