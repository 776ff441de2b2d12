"""What a cache costs on disk, what of it is kept, and what makes room for it."""

from __future__ import annotations

import math
import re
import shutil
from collections.abc import Collection, Mapping
from pathlib import Path

from kdsearch.models import Signal, SignalShapes
from kdsearch.teacher_cache.folders import last_used
from kdsearch.teacher_cache.layout import PART, PART_BYTES, Precision

_RUN = ".run"
_KEY = re.compile(r"[0-9a-f]{16}")


def signal_bytes(signal: Signal, shapes: SignalShapes, dtype: Precision, top_k: int | None) -> int:
    """Bytes that one sample's signal takes as it is stored."""
    each = 2 if dtype == "float16" else 4
    if signal == Signal.LOGITS:
        if top_k is not None and top_k < shapes.classes:
            return top_k * (each + 4) + each  # the value and the place of each, and the rest
        return shapes.classes * each
    if signal == Signal.EMBEDDING:
        return shapes.embedding * each
    sides = [shape[1:] if signal == Signal.ATTENTION else shape for shape in shapes.features]
    return sum(map(math.prod, sides)) * each


def part_size(bytes_per_sample: Collection[int]) -> int:
    """Samples of one file, so that none of the signals' files is too large to be held."""
    largest = max(bytes_per_sample, default=1)
    return max(min(PART, PART_BYTES // max(largest, 1)), 1)


def allot(
    wanted: Mapping[Signal, int], samples: int, epochs: int, budget: float
) -> dict[Signal, int]:
    """How many epochs of each signal are kept, from the first.

    The smallest signal is served first: many methods read logits, few read whole maps. Early epochs
    are kept before late ones: every trial needs them, also one that is stopped early.

    Args:
        wanted: Bytes of one sample's signal, by signal.
        samples: Samples of the split.
        epochs: Epochs of a trial.
        budget: Bytes that all of it may take.
    """
    kept: dict[Signal, int] = {}
    for signal, size in sorted(wanted.items(), key=lambda item: (item[1], item[0])):
        an_epoch = size * samples
        fits = epochs * an_epoch <= budget
        kept[signal] = epochs if fits else max(int(budget // an_epoch), 0)
        budget -= kept[signal] * an_epoch
    return kept


def make_room(folder: Path, budget: float, keep: Collection[str]) -> list[str]:
    """Remove caches that have not been used for longest until the others take less than a budget.

    A study that still reads what is removed goes on: mapped files stay readable, and what it does
    not find it builds again.

    Args:
        folder: Where caches are kept.
        budget: Bytes that all but ``keep`` may take.
        keep: Keys that stay.

    Returns:
        The keys that were removed.
    """
    used = {path: when for path, when in _caches(folder).items() if path.name not in keep}
    sizes = {path: folder_bytes(path) for path in used}
    removed = []
    for path in sorted(used, key=lambda path: used[path]):
        if sum(sizes.values()) <= budget:
            break
        shutil.rmtree(path, ignore_errors=True)
        shutil.rmtree(path.with_suffix(_RUN), ignore_errors=True)
        sizes[path] = folder_bytes(path)  # what another process wrote meanwhile
        removed.append(path.name)
    return removed


def _caches(folder: Path) -> dict[Path, float]:
    """When the caches in a folder were used last; what else a user keeps there is none."""
    if not folder.is_dir():
        return {}
    named = [path for path in folder.iterdir() if _KEY.fullmatch(path.name)]
    return {path: when for path in named if (when := last_used(path)) is not None}


def folder_bytes(folder: Path) -> int:
    """Bytes of the files in a folder; what another process removes meanwhile counts nothing."""
    try:
        return sum(map(_bytes, folder.iterdir()))
    except OSError:
        return 0


def _bytes(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
