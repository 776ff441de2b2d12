"""Processes that can be interrupted, wherever the tests themselves were started from."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def interruptible() -> Iterator[None]:
    """Start a process in here, and ``SIGINT`` and ``SIGHUP`` reach it.

    A shell tells what it starts in the background to ignore ``SIGINT``, and ``nohup`` tells its
    command to ignore ``SIGHUP``; who ignores a signal hands that on to its children.
    """
    normal = {signal.SIGINT: signal.default_int_handler, signal.SIGHUP: signal.SIG_DFL}
    before = {number: signal.signal(number, handler) for number, handler in normal.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
