"""How processes that read images are started and ended."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.context import ForkServerContext
from multiprocessing.forkserver import ensure_running
from typing import Any

import torch

_ONE_AT_A_TIME = threading.Lock()


def reader_context() -> ForkServerContext:
    """The context in which readers start: children of a server that has imported what they need.

    A plain fork of a process with threads, as Ray's are, can deadlock, and hands the child Ray's
    open connections; a spawned process imports torch anew each time. The server is started once a
    process, by executing Python anew, imports while this process goes on, and ends with it.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["kdsearch.data.feeds.worker_feed"])
    # The server and its children inherit the mask: an interrupt is this process's alone to act on.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return context


@contextmanager
def without_main() -> Iterator[None]:
    """Let processes that start within not run the main script again.

    Each would: of a user's script without ``if __name__ == "__main__"`` all of it, and of a process
    of Ray's the import of Ray. Readers need nothing of it.
    """
    main = sys.modules["__main__"].__dict__
    with _ONE_AT_A_TIME:
        hidden: dict[str, Any] = {
            name: main[name] for name in ("__file__", "__spec__") if name in main
        }
        main.update(dict.fromkeys(hidden))
        try:
            yield
        finally:
            main.update(hidden)


def start_reader(_: int) -> None:
    """Make ready the process that this is called in: a reader, by its number.

    If the process that started it is killed, a reader ends by itself: its parent is the server,
    so that nothing else would tell it.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # where the server is not of our making
    torch.set_num_threads(1)
    threading.Thread(target=_end_with_starter, daemon=True).start()


def _end_with_starter() -> None:
    starter = multiprocessing.parent_process()
    assert starter is not None
    starter.join()
    os._exit(1)
