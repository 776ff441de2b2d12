"""Why trainings and processes fail, and what follows from it.

Ray Tune retries every exception alike, recovers a trial only while it runs (one whose warm process
had died when it was to begin is given up), and does not tell which node failed. So Tune retries
nothing here (``max_failures=0``): what it gives up is handed out again as another Tune trial that
goes on from the last checkpoint, as far as the rules of this file allow.
"""

from __future__ import annotations

import errno
import faulthandler
import os
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from kdsearch.errors import described, one_line
from kdsearch.files import NO_SPACE, write_atomically

SAME_FAILURES = 10
"""Trainings in a row that fail for one reason before the study stops."""

SETUPS = 3
"""Set-ups in a row that fail on a node before it gets no more work."""


HANG_SECONDS = 6 * 3600.0
"""After so long an epoch is taken for hung, unless the spec says otherwise or it takes less than
ten times as long as one before it in its process."""

FULL_DISK = (*NO_SPACE, errno.EROFS)
"""Errors of a disk that takes nothing more, whatever is written to it."""


class LostError(Exception):
    """An actor cannot go on, through no fault of its training: a disk or the network failed.

    Args:
        reason: Why, in a sentence.
        errno: The system's number of the error, if it has one.
    """

    def __init__(self, reason: str, errno: int | None = None) -> None:
        super().__init__(reason, errno)
        self.reason, self.errno = reason, errno

    def __str__(self) -> str:
        return self.reason


class SetupError(Exception):
    """An actor could not be made ready, on a node that is named by Ray's id."""

    def __init__(self, reason: str, node: str) -> None:
        super().__init__(reason, node)
        self.reason, self.node = reason, node


class FailureCounts:
    """Counts failures in a row: of trainings by their reason, of set-ups by their node."""

    def __init__(self) -> None:
        self._setups: Counter[str] = Counter()
        self._reason, self._count = "", 0

    def set_up(self, node: str, failed: bool = False) -> None:
        """Note how a set-up has gone."""
        self._setups[node] = self._setups[node] + 1 if failed else 0

    @property
    def avoided(self) -> list[str]:
        """The nodes that get no more work."""
        return sorted(node for node, count in self._setups.items() if count >= SETUPS)

    def ended(self, reason: str | None) -> bool:
        """Note how a training has ended; whether too many have failed for this one reason.

        Reasons that differ in their numbers alone are one.
        """
        plain = re.sub(r"\d+(\.\d+)?(e[+-]?\d+)?", "0", reason or "")
        self._count = self._count + 1 if plain == self._reason else 1
        self._reason = plain
        return bool(plain) and self._count >= SAME_FAILURES


class CrashLog:
    """A file in which a process says why it ends when it can tell nobody: a crash, or a hang."""

    def __init__(self) -> None:
        self._file: TextIO | None = None
        self._seconds: float | None = None

    @contextmanager
    def watching(self, path: Path, seconds: float | None) -> Iterator[None]:
        """Let a crash be told in this file; after so many seconds, end with the stack in it.

        Its folder is there, or the study's is gone.
        """
        if self._file is None or self._file.name != str(path):
            self.close()
            self._file = path.open("w")
            faulthandler.enable(self._file)
        self._watch(seconds)
        try:
            yield
        finally:
            self._watch(None)

    @contextmanager
    def unwatched(self) -> Iterator[None]:
        """Do not count what takes its time for reasons of others."""
        seconds = self._seconds
        self._watch(None)
        yield
        self._watch(seconds)

    def _watch(self, seconds: float | None) -> None:
        self._seconds = seconds
        faulthandler.cancel_dump_traceback_later()
        if seconds is not None and self._file is not None:
            faulthandler.dump_traceback_later(seconds, exit=True, file=self._file)

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            faulthandler.disable()
            self._file.close()
            self._file = None


def tidy(crash_log: Path) -> None:
    """Remove a crash log in which nothing was written."""
    if crash_log.is_file() and not crash_log.stat().st_size:
        crash_log.unlink(missing_ok=True)


def crash_told(crash_log: Path) -> str:
    """What a process wrote last, in one line; empty where it wrote nothing."""
    try:
        if not crash_log.stat().st_size:
            return ""
        return one_line(crash_log.read_text(errors="replace")).removeprefix("Fatal Python error: ")
    except OSError:
        return ""


def loss_reason(cause: BaseException | None, told: str) -> str:
    """Why a training was lost, in one line.

    Args:
        cause: What the actor raised, or else Ray.
        told: By the crash log.
    """
    if told:
        return f"its process crashed ({told})"
    if isinstance(cause, LostError):
        return str(cause)
    if cause is None or type(cause).__module__.startswith("ray."):
        return "its process ended without a word: killed, out of memory, or its node was lost"
    return described(cause)


def hang_told(seconds: float | None) -> str:
    """That an epoch was taken for hung, with what the spec says of its time."""
    limit = f"{HANG_SECONDS / 3600:g} hours (set resources.trial_timeout if one must)"
    if seconds is not None:
        limit = f"resources.trial_timeout ({seconds:g} s)"
    return f"an epoch took longer than {limit}; its crash log says where"


def disk_is_full(cause: BaseException | None) -> bool:
    """Whether what an actor raised came of a disk that takes nothing more."""
    return getattr(cause, "errno", None) in FULL_DISK


def shared_token(folder: Path) -> str:
    """A token in a folder by which actors see that they share it."""
    token = os.urandom(16).hex()
    write_atomically(folder / ".shared", token.encode())
    return token


def check_shared(folder: Path, token: str) -> None:
    """Read and write in the study's folder.

    Raises:
        LostError: This node has another folder of the name, or none.
    """
    probe = folder / f".shared-{os.uname().nodename}-{os.getpid()}"
    try:
        seen = (folder / ".shared").read_text()
        probe.write_text(token)
        probe.unlink()
    except OSError as error:
        seen = described(error)
    if seen != token:
        raise LostError(
            f"node {os.uname().nodename} does not share {folder}; give a study.directory that all "
            "nodes of the cluster share"
        )
