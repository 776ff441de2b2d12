"""What is said of the teacher signals that are cached."""

from __future__ import annotations

from pathlib import Path

import pytest

from kdsearch.models import Signal
from kdsearch.render.caches import cache_lines, error_lines
from kdsearch.spec.sections import Augmentation, CacheSection
from kdsearch.teacher_cache.cache_plan import CachePlan, SplitViews
from kdsearch.teacher_cache.contents import Caches, TeacherCache


def cached(
    sizes: dict[Signal, int],
    epochs: dict[Signal, int],
    read: frozenset[Signal] | None = None,
    of: int = 10,
    plain: bool = False,
    seconds: float | None = 18.5,
    folder: Path = Path("/nowhere"),
) -> TeacherCache:
    """The cache of 50,000 training views of ``of`` epochs: bytes a sample, and epochs."""
    views = SplitViews("train", None if plain else Augmentation(crop=4), 1, of)
    plan = CachePlan(folder, "0123456789abcdef", 50_000, views, sizes, epochs)
    return TeacherCache(plan, frozenset(sizes) if read is None else read, seconds)


def caches(folder: Path = Path("/nowhere"), *, disk_gb: float = 20.0, **of: TeacherCache) -> Caches:
    return Caches(of, {}, folder, CacheSection(disk_gb=disk_gb))


LOGITS, FEATURES = Signal.LOGITS, Signal.FEATURES


def test_what_is_cached_is_told_with_its_size_and_time() -> None:
    both = cached({LOGITS: 400, FEATURES: 1600}, {LOGITS: 10, FEATURES: 10})
    assert cache_lines(caches(teacher=both)) == [
        "teacher: the cache in /nowhere holds logits and features of 10 epochs (1.0 GB), computed "
        "once for all trials, about 3 min 05 s"
    ]


def test_images_that_never_change_are_counted_once() -> None:
    one = cached({LOGITS: 400}, {LOGITS: 10}, plain=True)
    assert cache_lines(caches(teacher=one)) == [
        "teacher: the cache in /nowhere holds logits of every sample (20.0 MB), computed once for "
        "all trials, about 18 s"
    ]


def test_a_time_that_is_not_known_is_left_out() -> None:
    (line,) = cache_lines(caches(teacher=cached({LOGITS: 4}, {LOGITS: 1}, of=1, seconds=None)))
    assert line.endswith("logits of 1 epoch (200.0 kB), computed once for all trials")


def test_what_does_not_fit_is_told_with_what_it_would_take() -> None:
    some = cached({LOGITS: 400, FEATURES: 65_536}, {LOGITS: 10, FEATURES: 3})
    lines = cache_lines(caches(wide=some))
    assert len(lines) == 2
    # 10 · 50,000 · (400 + 65,536) bytes are 32.97 GB
    assert lines[1] == (
        "teacher wide: the cache in /nowhere holds features of the first 3 of 10 epochs (9.8 GB), "
        "later ones computed at every step; cache.disk_gb 33 would hold all, or half of that with "
        "cache.dtype float16"
    )
    none = cached({FEATURES: 65_536}, {FEATURES: 0})
    half = CacheSection(dtype="float16")
    (line,) = cache_lines(Caches({"teacher": none}, {}, Path("/nowhere"), half))
    assert line == "teacher: features computed at every step; cache.disk_gb 32.8 would hold all"


def test_what_is_not_to_be_cached_is_told_with_the_setting() -> None:
    read = frozenset({LOGITS, FEATURES})
    lines = cache_lines(caches(teacher=cached({LOGITS: 400}, {LOGITS: 10}, read)))
    assert lines[1] == (
        "teacher: features computed at every step, since cache.signals leaves them out"
    )
    nothing = cached({LOGITS: 400}, {LOGITS: 0})
    assert cache_lines(caches(disk_gb=0, teacher=nothing, wide=nothing)) == [
        "the teachers run at every step, since cache.disk_gb is 0"
    ]
    assert cache_lines(caches(disk_gb=0)) == []  # nothing is read of any teacher


def test_a_folder_below_the_users_own_is_told_from_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = Path.cwd() / "studies" / ".cache"
    (line,) = cache_lines(caches(folder, teacher=cached({LOGITS: 4}, {LOGITS: 10}, folder=folder)))
    assert "the cache in studies/.cache holds " in line


def test_the_error_of_storing_is_told_by_teacher_and_signal() -> None:
    error = {"worst": 0.0123, "relative": 0.00021}
    errors = {"teacher": {"logits": error | {"kl": 1.5e-7}}, "wide": {"features": error}}
    assert error_lines(errors) == [
        "teacher: error of cached logits: 2.1e-04 of their size, at most 1.2e-02, KL 1.5e-07 nats",
        "teacher wide: error of cached features: 2.1e-04 of their size, at most 1.2e-02",
    ]
