"""What Ray needs of a machine: a home folder, and for a private Ray a place for its files."""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from kdsearch.environment import environment
from kdsearch.errors import ClusterError, StudyError, one_line
from kdsearch.files import unwritable

_LONGEST = 36
"""Bytes of a folder's path in which Ray can make its sockets: the name of a socket may have 107
bytes, of which Ray takes up to 71."""
_LEAST = 50_000_000
"""Bytes that Ray's logs and sockets must find free; on a full disk it starts for half a minute and
then says that it timed out."""
_LOCK = ".in-use"
"""A file that is locked while the process lives whose folder it is."""
_MADE_SECONDS = 60.0
"""Within so long of its making, a folder's file may not be locked yet."""
_SHORT = ("/tmp", "/var/tmp", "/dev/shm")
"""Folders with short paths that most machines have."""


def check_home() -> None:
    """Refuse to go on as a user without any home folder: Ray asks for one when it is imported.

    Raises:
        StudyError: ``HOME`` is not set, and the user is not among those of the machine.
    """
    try:
        Path.home()
    except RuntimeError:
        raise StudyError(
            "this user has no home folder, which Ray asks for; set HOME to a folder, such as "
            "HOME=/tmp"
        ) from None


@contextmanager
def private_files() -> Iterator[None]:
    """A folder of its own for a private Ray, within ``RAY_TMPDIR`` or the temporary folder.

    So neither another user's files nor a long path stand in its way: a folder with a long path is
    reached by a link. It is removed at the end, and by a later start where its process was killed,
    but left with Ray's logs where Ray fails. Ray's token is kept in memory where the home folder
    cannot keep it.

    Raises:
        StudyError: The folder cannot be made.
    """
    with _told():
        inside = Path(os.environ.get("RAY_TMPDIR") or tempfile.gettempdir()).absolute()
        inside.mkdir(parents=True, exist_ok=True)
        _remove_left(inside)
        _check_space(inside)
        folder = Path(tempfile.mkdtemp(prefix="kdsearch-", dir=inside))
        short = _short(folder)
    left = False
    try:
        with FileLock(folder / _LOCK), environment({"RAY_TMPDIR": str(short), **_token()}):
            yield
    except ClusterError:
        left = True
        raise
    finally:
        if left:
            (folder / _LOCK).unlink(missing_ok=True)  # or a later start would remove Ray's logs
        else:
            _remove(folder, short)


def _remove_left(inside: Path) -> None:
    """Remove the folders of processes that were killed, which hold their locks no more."""
    for file in inside.glob(f"kdsearch-*/{_LOCK}"):
        with suppress(OSError, Timeout):  # another user's, or in use
            if time.time() - file.stat().st_mtime > _MADE_SECONDS:
                with FileLock(file, timeout=0):
                    shutil.rmtree(file.parent, ignore_errors=True)
    for link in (each for place in _SHORT for each in Path(place).glob("kdsearch-*/*")):
        if link.is_symlink() and not link.exists():  # what it led to is gone
            shutil.rmtree(link.parent, ignore_errors=True)


def _remove(folder: Path, short: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    if short != folder:
        shutil.rmtree(short.parent, ignore_errors=True)


def not_started(error: Exception) -> ClusterError:
    """Why a private Ray could not be started, and where its logs are."""
    reason = one_line(error).rstrip(".")
    logs = Path(os.environ["RAY_TMPDIR"], "ray", "session_latest", "logs")
    return ClusterError(
        f"Ray cannot be started on this machine ({reason}); fix that, or set RAY_TMPDIR to a "
        f"folder on another disk (Ray's logs: {logs})"
    )


def _check_space(folder: Path) -> None:
    free = shutil.disk_usage(folder).free
    if free < _LEAST:
        raise StudyError(
            f"{folder}, where Ray keeps its temporary files, has {free / 1e6:.0f} MB left; free "
            "space there, or set RAY_TMPDIR to a folder on another disk"
        )


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        where = error.filename or "the temporary folder"
        raise StudyError(
            f"Ray cannot keep its temporary files in {where} ({error.strerror}); set RAY_TMPDIR to "
            "a folder that can be written to"
        ) from error


def _short(folder: Path) -> Path:
    """The folder by a path that is short enough, by a link in another folder if need be."""
    if len(os.fsencode(folder)) <= _LONGEST:
        return folder
    for place in _SHORT:
        if Path(place).is_dir() and unwritable(Path(place)) is None:
            link = Path(tempfile.mkdtemp(prefix="kdsearch-", dir=place), "r")
            link.symlink_to(folder)
            return link
    raise StudyError(
        f"the path of {folder} is too long for Ray's sockets; set RAY_TMPDIR to a folder with a "
        f"path of at most {_LONGEST - len('/kdsearch-12345678')} letters"
    )


def _token() -> dict[str, str]:
    """A token for Ray's connections, where it could not keep one in the home folder."""
    if any(os.environ.get(name) for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")):
        return {}
    file = Path.home() / ".ray" / "auth_token"
    with suppress(OSError):
        if file.exists() or unwritable(file.parent) is None:
            return {}
    return {"RAY_AUTH_TOKEN": secrets.token_hex(32)}
