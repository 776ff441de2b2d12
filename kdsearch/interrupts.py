"""Signals that end a command: the first lets it end in order, the third ends it at once."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

INTERRUPTED = 130
"""Exit code of a command that was interrupted."""

_NAMES = ("SIGINT", "SIGTERM", "SIGHUP")  # Ctrl-C, the batch system, the terminal that is closed
_PATIENCE = 2
_MORE = "ending already, which takes some seconds; once more ends it at once"
_first: Callable[[], None] | None = None
"""What is called at the first signal."""


@contextmanager
def called_when_interrupted(call: Callable[[], None]) -> Iterator[None]:
    """Call it at once when a signal ends the block, since what follows takes a while."""
    global _first
    _first = call
    try:
        yield
    finally:
        _first = None


def say(line: str) -> None:
    """Write a line to the terminal from where a signal is handled."""
    with suppress(OSError):  # where the terminal is gone
        os.write(2, f"kdsearch: {line}\n".encode())


class Interrupts:
    """Turns those signals into one ``KeyboardInterrupt``, so that what runs notes down its state.

    A signal that is ignored from the start, as by ``nohup``, stays ignored.
    """

    def __init__(self) -> None:
        self.count = 0
        for name in _NAMES:
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._interrupt)

    def _interrupt(self, *_: object) -> None:
        self.count += 1
        if self.count == 1:
            if _first is not None:
                with suppress(Exception):
                    _first()
            raise KeyboardInterrupt
        if self.count > _PATIENCE:
            os._exit(INTERRUPTED)
        say(_MORE)
