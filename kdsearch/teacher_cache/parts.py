"""The files of a cache: written whole or not at all, found out when damaged, mapped into memory."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from kdsearch.files import checksum, taking_name_last, write_atomically
from kdsearch.models import Signal
from kdsearch.teacher_cache.encoding import Stored
from kdsearch.teacher_cache.folders import work_in
from kdsearch.teacher_cache.layout import FORMAT, Layout


def facts_file(file: Path) -> Path:
    """The file that says what ``file`` is; written after it, it makes it count."""
    return file.with_suffix(".json")


def write_part(
    layout: Layout,
    signal: Signal,
    epoch: int,
    part: int,
    stored: Stored,
    error: dict[str, float],
) -> None:
    """Write one signal of the samples of a part; who calls this holds the part's lock.

    Args:
        layout: The cache.
        signal: Which signal.
        epoch: The epoch of the views.
        part: Which part of the split.
        stored: The rows, in the order of the samples.
        error: What storing has changed.

    Raises:
        TeacherError: The disk is full, or the folder cannot be written.
    """
    file = layout.file(signal, epoch, part)
    facts = _identity(layout, signal, epoch, part) | {"error": error}
    work_in(layout.place, partial(_write, file, stored, facts))


def _write(file: Path, stored: Stored, facts: dict[str, Any]) -> None:
    for left in file.parent.glob(f".{file.stem}.*.partial"):  # by a process that was killed
        left.unlink(missing_ok=True)
    with taking_name_last(file) as begun:
        save_file({name: rows.contiguous() for name, rows in stored.items()}, begun)
        found = {"sha256": checksum(begun), "bytes": begun.stat().st_size}
    write_atomically(facts_file(file), json.dumps(facts | found).encode())


def read_facts(layout: Layout, signal: Signal, epoch: int, part: int) -> dict[str, Any] | None:
    """What is said of a part, if it is there, has its length, and is the one that is meant.

    Reading its content is left to :func:`map_part`.
    """
    file = layout.file(signal, epoch, part)
    try:
        facts: dict[str, Any] = json.loads(facts_file(file).read_text())
        meant = _identity(layout, signal, epoch, part) | {"bytes": file.stat().st_size}
        return facts if all(facts[name] == value for name, value in meant.items()) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def map_part(layout: Layout, signal: Signal, epoch: int, part: int) -> dict[str, Tensor] | None:
    """The rows of a part over the file's own memory, which all processes of a node share.

    Returns:
        ``None`` where the part is missing, torn, or of other content than its name says.
    """
    facts = read_facts(layout, signal, epoch, part)
    file = layout.file(signal, epoch, part)
    try:
        if facts is None or facts["sha256"] != checksum(file):
            return None
        with safe_open(file, framework="pt") as opened:
            return {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    except (OSError, KeyError, SafetensorError):
        return None


def _identity(layout: Layout, signal: Signal, epoch: int, part: int) -> dict[str, Any]:
    rows = layout.rows(part)
    return {
        "format": FORMAT,
        "key": layout.key,
        "signal": signal.value,
        "epoch": epoch,
        "samples": [rows.start, rows.stop],
    }
