"""The command line within the tests' own process, for what needs no process of its own."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from kdsearch import cli


class Left(NamedTuple):
    """What a command leaves: its exit code, and what it wrote to its two streams."""

    code: int
    out: str
    err: str


CallCommand = Callable[..., Left]


def call(capture: pytest.CaptureFixture[str], words: tuple[str, ...]) -> Left:
    """Run ``kdsearch WORDS`` as the program does, and undo what it changes in its process."""
    capture.readouterr()
    with _as_a_program(["kdsearch", *words]), pytest.raises(SystemExit) as left:
        cli.main()
    code = left.value.code
    assert isinstance(code, int)
    return Left(code, *capture.readouterr())


@contextmanager
def _as_a_program(words: list[str]) -> Iterator[None]:
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    handlers = {number: signal.getsignal(number) for number in numbers}
    known = set(sys.modules)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", words)
        patch.setattr(sys, "path", [*sys.path])
        yield
    for number, handler in handlers.items():
        signal.signal(number, handler)
    _forget(set(sys.modules) - known, Path.cwd())


def _forget(names: set[str], folder: Path) -> None:
    """Let the next command import modules of equal names from a folder of its own."""
    for name in names:
        file = getattr(sys.modules[name], "__file__", None)
        if file is not None and Path(file).parent == folder:
            del sys.modules[name]
