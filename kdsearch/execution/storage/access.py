"""The storage of checkpoints, a folder or an object store: found early, waited for, or refused."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar
from urllib.parse import parse_qs, unquote

from kdsearch.errors import StorageError, one_line
from kdsearch.files import unwritable
from kdsearch.redaction import holds_secret, redacted_uri
from kdsearch.spec.study import StudySpec

PATIENCE = 300.0
"""Seconds for which trainings wait for a storage that does not answer."""

ANSWER = 14.0
"""Seconds within which a storage must answer when it is looked for; a connection that is refused
is tried for 12 by pyarrow."""

ENVIRONMENT = (
    "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or what the store's own tools read, on every "
    "node before Ray starts there"
)
"""What to do for a storage that asks for credentials."""

_MISSING = r"Bucket '.*' not found|AWS Error NO_SUCH_BUCKET"
_DENIED = r"AWS Error (ACCESS_DENIED|UNRECOGNIZED_CLIENT|\w*(ACCESS_KEY|SIGNATURE|TOKEN)\w*)"
_SILENT = r"NETWORK_CONNECTION|no answer|refused|unreachable|not known|name resolution|No route"
_REMEDIES = {
    _MISSING: "make the bucket, or correct its name",
    _DENIED: "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY to a key that may read, write and "
    "delete there",
    _SILENT: "start its server, or correct endpoint_override or the region",
    "": "correct it, as in s3://bucket/folder?region=eu-central-1",
}
"""What to do, by what the reason says; the first that fits."""

Result = TypeVar("Result")


def is_remote(storage: str) -> bool:
    """Whether a storage is none of this machine's folders."""
    return "://" in storage and not storage.startswith("file://")


def _server(storage: str) -> str:
    """The address that a URI gives for its server; empty where it gives none."""
    return parse_qs(storage.rpartition("?")[2]).get("endpoint_override", [""])[0]


def check_storage(spec: StudySpec) -> None:
    """Refuse a storage of checkpoints in which nothing can be kept, within some 15 s.

    One with credentials in its URI is refused too: Ray Tune keeps the URI in its files.

    Raises:
        StorageError: It holds credentials, cannot be reached, or not written to.
    """
    storage, place = spec.resources.storage, spec.place(("resources", "storage"))
    if storage is None:
        return
    if holds_secret(storage):
        raise StorageError(
            f"{place}: {redacted_uri(storage)} holds credentials, which Ray Tune would keep in its "
            f"files; take them out of resources.storage, and {ENVIRONMENT}"
        )
    if (why := unusable(storage)) is not None:
        raise StorageError(f"{place}: {why}, or set resources.storage to another place")


def unusable(storage: str) -> str | None:
    """Why nothing can be kept in a storage and what to do, in a sentence; ``None``: it can."""
    if not is_remote(storage):
        folder = Path(unquote(storage.removeprefix("file://")))
        fault = unwritable(folder)
        return fault and f"no checkpoints can be kept in {folder}, since {fault}; fix that"
    why = _refused(storage) or _probed(storage)
    if why is None:
        return None
    remedy = next(do for words, do in _REMEDIES.items() if re.search(words, why))
    return f"the storage {storage} cannot be used ({one_line(why).rstrip('.')}); {remedy}"


def awaited(storage: str, patience: float) -> str | None:
    """Why a storage cannot be used although it was waited for, where that may help."""
    until = time.monotonic() + patience
    while (why := unusable(storage)) is not None and _may_heal(why) and time.monotonic() < until:
        time.sleep(1)
    return why


def _may_heal(reason: str) -> bool:
    return re.search(f"{_MISSING}|{_DENIED}|^no checkpoints can be kept", reason) is None


def _refused(storage: str) -> str | None:
    """Find out at once what pyarrow would try for long: that nobody listens at the address."""
    host, _, port = _server(storage).rpartition(":")
    if not (host and port.isdigit()):
        return None
    address = host.rpartition("/")[2].strip("[]"), int(port)
    try:
        socket.create_connection(address, timeout=5).close()
    except OSError as error:
        return error.strerror or "no answer within 5 s"
    return None


def _probed(storage: str) -> str | None:
    command = [sys.executable, "-m", "kdsearch.execution.storage.probe"]
    try:
        ended = subprocess.run(
            command, input=storage, capture_output=True, text=True, timeout=ANSWER
        )
    except subprocess.TimeoutExpired:
        return f"no answer within {ANSWER:g} s"
    return (ended.stdout or ended.stderr) if ended.returncode else None


def patiently(attempt: Callable[[], Result], patience: float = PATIENCE) -> Result:
    """What an attempt gives, which is made again while an object store does not do its part.

    Args:
        attempt: Reads or writes there.
        patience: Seconds after which its error is raised.
    """
    until = time.monotonic() + patience
    while True:
        try:
            return attempt()
        except OSError as error:
            # a disk gives a number with its errors; a checkpoint that is gone stays so
            settled = error.errno is not None or isinstance(error, FileNotFoundError)
            if settled or not _may_heal(str(error)) or time.monotonic() > until:
                raise
        time.sleep(1)
