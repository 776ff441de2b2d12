"""What is kept of the teachers' answers, in words."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from rich.filesize import decimal

from kdsearch.models import Signal
from kdsearch.render.units import duration
from kdsearch.teacher_cache.contents import Caches, StorageErrors, TeacherCache, called


def cache_lines(caches: Caches) -> list[str]:
    """What is kept of each teacher's answers, and what is asked for at every step, and why."""
    if caches.teachers and caches.section.disk_gb == 0:
        return ["the teachers are asked at every step, as cache.disk_gb is 0"]
    lines = []
    for name, cache in caches.teachers.items():
        who = f"{called(name)}: its answers"
        if cache.whole:
            lines.append(f"{who} ({_list(cache.whole)}) {_kept(cache, caches.folder)}")
        lines += [f"{who} ({signal}) {_live(cache, signal, caches)}" for signal in cache.live]
    return lines


def _kept(cache: TeacherCache, folder: Path) -> str:
    plan = cache.plan
    of = "the pictures" if plan.layout.plain else f"the views of {_epochs(plan.subject.epochs)}"
    size = sum(_an_epoch(cache, signal) for signal in cache.whole) * plan.subject.stored_epochs
    return f"to {of} are kept in {_short(folder)} ({decimal(size)}), {_when(cache)}"


def _when(cache: TeacherCache) -> str:
    if not cache.missing(cache.plan.epochs):
        return "and are there already"
    left = cache.seconds_left
    told = f", about {duration(left)}" if left is not None and left >= 1 else ""
    return f"asked for once for all trials{told}"


def _live(cache: TeacherCache, signal: Signal, caches: Caches) -> str:
    plan = cache.plan
    if signal not in plan.sizes:
        return "are asked for at every step, as cache.signals leaves them out"
    kept, epochs = plan.kept[signal], plan.subject.epochs
    if not kept:
        return f"are asked for at every step; {_remedy(caches)}"
    return (
        f"to the views of the first {kept} of {_epochs(epochs)} are kept "
        f"({decimal(kept * _an_epoch(cache, signal))}) and then asked for at every step; "
        f"{_remedy(caches)}"
    )


def _remedy(caches: Caches) -> str:
    """What would keep everything."""
    most = sum(cache.most for cache in caches.teachers.values())
    most += sum(plan.bytes for plan in caches.reference.values())
    needed = (most // 10**8 + 1) / 10
    half = ", or half of that with cache.dtype float16" if caches.section.dtype != "float16" else ""
    return f"cache.disk_gb {needed:g} would keep all{half}"


def _an_epoch(cache: TeacherCache, signal: Signal) -> int:
    return cache.plan.sizes[signal] * cache.plan.layout.samples


def error_lines(errors: StorageErrors) -> list[str]:
    """What storing has changed, by teacher and signal."""
    return [
        f"{called(name)}: its answers ({signal}) as stored differ by {error['relative']:.1e} of "
        f"their size, at most by {error['worst']:.1e}"
        + (f", and by {error['kl']:.1e} nats in their probabilities" if "kl" in error else "")
        for name, signals in errors.items()
        for signal, error in signals.items()
    ]


def _short(folder: Path) -> str:
    """A folder as seen from where the user is."""
    here = Path.cwd()
    return str(folder.relative_to(here) if folder.is_relative_to(here) else folder)


def _epochs(count: int) -> str:
    return "1 epoch" if count == 1 else f"{count} epochs"


def _list(names: Iterable[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last
