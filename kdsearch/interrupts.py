"""Signals that end a command: the first lets it end in order, the third ends it at once."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress

INTERRUPTED = 130
"""Exit code of a command that was interrupted."""

_NAMES = ("SIGINT", "SIGTERM", "SIGHUP")  # Ctrl-C, the batch system, the terminal that is closed
_PATIENCE = 2
_MORE = b"kdsearch: ending already, which takes some seconds; once more ends it at once\n"
_first = b""
"""What is said at the first signal."""


@contextmanager
def said_when_interrupted(sentence: str) -> Iterator[None]:
    """Say it at once when a signal ends the block, since what follows takes a while."""
    global _first
    _first = f"kdsearch: {sentence}\n".encode()
    try:
        yield
    finally:
        _first = b""


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
            _say(_first)
            raise KeyboardInterrupt
        if self.count > _PATIENCE:
            os._exit(INTERRUPTED)
        _say(_MORE)


def _say(line: bytes) -> None:
    with suppress(OSError):  # where the terminal is gone
        os.write(2, line)
