"""``front.json`` and ``ranking.json`` while a study runs, for readers that need no PyTorch."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Thread

from kdsearch.errors import KdsearchError
from kdsearch.results.folder import FINALISTS, TRIALS
from kdsearch.results.front_file import summaries, write_summaries
from kdsearch.results.study import Study

LEAST_SECONDS = 2.0
"""Between two writings at least."""

SHARE = 0.02
"""Of the time that writing may take at most, so that the search does not wait for it."""


@contextmanager
def keeping_summaries(path: Path) -> Iterator[None]:
    """Keep both files up to date from a thread of its own, until the block is left.

    A study is good without them: what cannot be written is tried again after its next training.

    Args:
        path: The folder of the study, which this process runs.
    """
    stop = Event()
    thread = Thread(target=_keep, args=(path, stop), name="front-writer", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _keep(path: Path, stop: Event) -> None:
    written, wait = None, 0.0
    while not stop.wait(wait):
        begun = time.perf_counter()
        there = [_size(path / name) for name in (TRIALS, FINALISTS)]
        if there != written:
            with suppress(KdsearchError, OSError):
                write_summaries(path, summaries(Study.open(path)))
            written = there
        wait = max(LEAST_SECONDS, (time.perf_counter() - begun) / SHARE)


def _size(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0
