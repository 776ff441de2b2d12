"""Processes that can be interrupted, wherever the tests themselves were started from."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def interruptible() -> Iterator[None]:
    """Start a process in here, and ``SIGINT`` reaches it.

    A shell tells what it starts in the background to ignore ``SIGINT``, and who ignores a signal
    hands that on to its children; who handles it hands on the default, which is to end.
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
