"""What of the teachers' signals is cached, in words."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from rich.filesize import decimal

from kdsearch.models import Signal
from kdsearch.results.durations import duration
from kdsearch.spec.teaching import called
from kdsearch.teacher_cache.contents import Caches, StorageErrors, TeacherCache


def cache_lines(caches: Caches) -> list[str]:
    """Which signals of each teacher are cached, and which are computed at every step, and why."""
    if caches.teachers and caches.section.disk_gb == 0:
        return ["the teachers run at every step, since cache.disk_gb is 0"]
    lines = []
    for name, cache in caches.teachers.items():
        if cache.whole:
            lines.append(f"{called(name)}: {_cached(cache)}")
        lines += [f"{called(name)}: {_live(cache, signal, caches)}" for signal in cache.live]
    return lines


def _cached(cache: TeacherCache) -> str:
    plan, signals = cache.plan, _list(cache.whole)
    of = "every sample" if plan.views.plain else _epochs(plan.views.epochs)
    size = sum(_an_epoch(cache, signal) for signal in cache.whole) * plan.views.stored_epochs
    holds = f"the cache in {_short(plan.folder)} holds {signals} of {of} ({decimal(size)})"
    if not cache.missing(plan.epochs):
        return f"{holds}, complete already"
    left = cache.seconds_left
    told = f", about {duration(left)}" if left is not None and left >= 1 else ""
    return f"{holds}, computed once for all trials{told}"


def _live(cache: TeacherCache, signal: Signal, caches: Caches) -> str:
    plan = cache.plan
    if signal not in plan.sizes:
        return f"{signal} computed at every step, since cache.signals leaves them out"
    cached = plan.cached[signal]
    if not cached:
        return f"{signal} computed at every step; {_remedy(caches)}"
    return (
        f"the cache in {_short(plan.folder)} holds {signal} of the first {cached} of "
        f"{_epochs(plan.views.epochs)} ({decimal(cached * _an_epoch(cache, signal))}), later ones "
        f"computed at every step; {_remedy(caches)}"
    )


def _remedy(caches: Caches) -> str:
    """The setting that would cache everything."""
    most = sum(cache.most for cache in caches.teachers.values())
    most += sum(plan.bytes for plan in caches.of_reference)
    needed = (most // 10**8 + 1) / 10
    half = ", or half of that with cache.dtype float16" if caches.section.dtype != "float16" else ""
    return f"cache.disk_gb {needed:g} would hold all{half}"


def _an_epoch(cache: TeacherCache, signal: Signal) -> int:
    return cache.plan.sizes[signal] * cache.plan.samples


def error_lines(errors: StorageErrors) -> list[str]:
    """How far cached signals are from the computed ones, by teacher and signal."""
    return [
        f"{called(name)}: error of cached {signal}: {error['relative']:.1e} of their size, at most "
        f"{error['worst']:.1e}" + (f", KL {error['kl']:.1e} nats" if "kl" in error else "")
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
