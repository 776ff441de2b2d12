"""The files of a cache: written whole or not at all, checked when read, removed to make room."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Collection
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from filelock import Timeout
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from kdsearch.errors import TeacherError
from kdsearch.files import checksum, remove_partial, taking_name_last, write_atomically
from kdsearch.models import Signal
from kdsearch.teacher_cache.cache_plan import FORMAT, CachePlan
from kdsearch.teacher_cache.encoding import Stored

Result = TypeVar("Result")

_USED = "used"
_KEY = re.compile(r"[0-9a-f]{16}")


class UnwritableError(TeacherError):
    """A cache cannot be written; the signals can still be computed at every step."""


def work_in(folder: Path, work: Callable[[], Result], again: bool = True) -> Result:
    """Do something that writes in the folder of a cache, which another process may remove.

    Raises:
        UnwritableError: The disk is full, or the folder cannot be written.
        filelock.Timeout: From ``work``.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return work()
    except Timeout:
        raise
    except (OSError, SafetensorError) as problem:
        if again:
            return work_in(folder, work, again=False)
        reason = getattr(problem, "strerror", None) or problem
        raise UnwritableError(
            f"teacher signals cannot be cached in {folder} ({reason}); make room there, set "
            "cache.folder to another disk, or lower cache.disk_gb"
        ) from problem


def facts_file(file: Path) -> Path:
    """The JSON beside a part that says what it is; without it the part does not count."""
    return file.with_suffix(".json")


def write_part(
    plan: CachePlan, signal: Signal, epoch: int, part: int, stored: Stored, error: dict[str, float]
) -> None:
    """Write one signal of a part, and how far it is from the computed one, under the part's lock.

    Raises:
        UnwritableError: The disk is full, or the folder cannot be written.
    """
    facts = _identity(plan, signal, epoch, part) | {"error": error}
    work_in(plan.place, partial(_write, plan.file(signal, epoch, part), stored, facts))


def _write(file: Path, stored: Stored, facts: dict[str, Any]) -> None:
    remove_partial(file.parent, f".{file.stem}.")
    with taking_name_last(file) as begun:
        save_file({name: rows.contiguous() for name, rows in stored.items()}, begun)
        found = {"sha256": checksum(begun), "bytes": begun.stat().st_size}
    write_atomically(facts_file(file), json.dumps(facts | found).encode())


def missing(plan: CachePlan, epoch: int, part: int) -> frozenset[Signal]:
    """The signals of a part that are to be cached and are not there yet."""
    signals = plan.signals(epoch)
    return frozenset(each for each in signals if read_facts(plan, each, epoch, part) is None)


def read_facts(plan: CachePlan, signal: Signal, epoch: int, part: int) -> dict[str, Any] | None:
    """What the JSON of a part says, if the part is there, complete, and the one that is meant.

    The content itself is checked by :func:`map_part`.
    """
    file = plan.file(signal, epoch, part)
    try:
        facts: dict[str, Any] = json.loads(facts_file(file).read_text())
        meant = _identity(plan, signal, epoch, part) | {"bytes": file.stat().st_size}
        return facts if all(facts[name] == value for name, value in meant.items()) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def map_part(plan: CachePlan, signal: Signal, epoch: int, part: int) -> dict[str, Tensor] | None:
    """The rows of a part over the file's own memory, which all processes of a node share.

    Returns:
        ``None`` where the part is missing, corrupt, or of other content than its name says.
    """
    facts = read_facts(plan, signal, epoch, part)
    file = plan.file(signal, epoch, part)
    try:
        if facts is None or facts["sha256"] != checksum(file):
            return None
        with safe_open(file, framework="pt") as opened:
            return {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    except (OSError, KeyError, SafetensorError):
        return None


def _identity(plan: CachePlan, signal: Signal, epoch: int, part: int) -> dict[str, Any]:
    rows = plan.rows(part)
    return {
        "format": FORMAT,
        "key": plan.key,
        "signal": signal.value,
        "epoch": epoch,
        "samples": [rows.start, rows.stop],
    }


def mark_used(place: Path) -> None:
    """Note that a cache is in use now, so that others are removed before it.

    Raises:
        UnwritableError: The folder cannot be written.
    """
    work_in(place, (place / _USED).touch)


def make_room(folder: Path, budget: float, keep: Collection[str]) -> list[str]:
    """Remove the least recently used caches until all but ``keep`` take at most ``budget`` bytes.

    A study that still reads what is removed goes on: mapped files stay readable, and what it does
    not find it builds again. Returns the keys that were removed.
    """
    used: dict[Path, float] = {}
    for mark in folder.glob(f"*/{_USED}"):
        key = mark.parent.name
        if _KEY.fullmatch(key) and key not in keep:  # a user's own folder holds other things too
            with suppress(OSError):  # another process removed it
                used[mark.parent] = mark.stat().st_mtime
    sizes = {place: folder_bytes(place) for place in used}
    removed = []
    for place in sorted(used, key=lambda place: used[place]):
        if sum(sizes.values()) <= budget:
            break
        shutil.rmtree(place, ignore_errors=True)
        shutil.rmtree(place.with_suffix(".run"), ignore_errors=True)
        sizes[place] = folder_bytes(place)  # what another process wrote meanwhile
        removed.append(place.name)
    return removed


def folder_bytes(folder: Path) -> int:
    """Bytes of the files in a folder; what another process removes meanwhile counts nothing."""
    total = 0
    with suppress(OSError):
        for path in folder.iterdir():
            with suppress(OSError):
                total += path.stat().st_size
    return total
