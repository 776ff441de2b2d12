"""What is said of the teachers' answers that are kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from kdsearch.models import Signal
from kdsearch.render.caches import cache_lines, error_lines
from kdsearch.spec.sections import Augmentation, CacheSection
from kdsearch.teacher_cache import CachePlan, Layout, Subject
from kdsearch.teacher_cache.contents import Caches, TeacherCache


def kept(
    sizes: dict[Signal, int],
    epochs: dict[Signal, int],
    read: frozenset[Signal] | None = None,
    of: int = 10,
    plain: bool = False,
    seconds: float | None = 18.5,
    folder: Path = Path("/nowhere"),
) -> TeacherCache:
    """What is kept of 50,000 training views of ``of`` epochs: bytes a sample, and epochs."""
    augment = None if plain else Augmentation(crop=4)
    layout = Layout(folder, "0123456789abcdef", 50_000, plain=plain)
    plan = CachePlan(layout, Subject("train", augment, 1, of), sizes, epochs)
    return TeacherCache(plan, frozenset(sizes) if read is None else read, seconds)


def caches(folder: Path = Path("/nowhere"), *, disk_gb: float = 20.0, **of: TeacherCache) -> Caches:
    return Caches(of, {}, folder, CacheSection(disk_gb=disk_gb))


LOGITS, FEATURES = Signal.LOGITS, Signal.FEATURES


def test_what_is_kept_is_told_with_its_size_and_time() -> None:
    both = kept({LOGITS: 400, FEATURES: 1600}, {LOGITS: 10, FEATURES: 10})
    assert cache_lines(caches(teacher=both)) == [
        "teacher: its answers (logits and features) to the views of 10 epochs are kept in /nowhere "
        "(1.0 GB), asked for once for all trials, about 3 min 05 s"
    ]


def test_pictures_that_never_change_are_counted_once() -> None:
    one = kept({LOGITS: 400}, {LOGITS: 10}, plain=True)
    assert cache_lines(caches(teacher=one)) == [
        "teacher: its answers (logits) to the pictures are kept in /nowhere (20.0 MB), asked for "
        "once for all trials, about 18 s"
    ]


def test_a_time_that_is_not_known_is_left_out() -> None:
    (line,) = cache_lines(caches(teacher=kept({LOGITS: 4}, {LOGITS: 1}, of=1, seconds=None)))
    assert line.endswith(
        "of 1 epoch are kept in /nowhere (200.0 kB), asked for once for all trials"
    )


def test_what_does_not_fit_is_told_with_what_it_would_take() -> None:
    some = kept({LOGITS: 400, FEATURES: 65_536}, {LOGITS: 10, FEATURES: 3})
    lines = cache_lines(caches(wide=some))
    assert len(lines) == 2
    # 10 · 50,000 · (400 + 65,536) bytes are 32.97 GB
    assert lines[1] == (
        "teacher wide: its answers (features) to the views of the first 3 of 10 epochs are kept "
        "(9.8 GB) and then asked for at every step; cache.disk_gb 33 would keep all, or half of "
        "that with cache.dtype float16"
    )
    none = kept({FEATURES: 65_536}, {FEATURES: 0})
    half = CacheSection(dtype="float16")
    (line,) = cache_lines(Caches({"teacher": none}, {}, Path("/nowhere"), half))
    assert line == (
        "teacher: its answers (features) are asked for at every step; cache.disk_gb 32.8 would "
        "keep all"
    )


def test_what_is_not_to_be_kept_is_told_with_the_setting() -> None:
    read = frozenset({LOGITS, FEATURES})
    lines = cache_lines(caches(teacher=kept({LOGITS: 400}, {LOGITS: 10}, read)))
    assert lines[1] == (
        "teacher: its answers (features) are asked for at every step, as cache.signals leaves them "
        "out"
    )
    nothing = kept({LOGITS: 400}, {LOGITS: 0})
    assert cache_lines(caches(disk_gb=0, teacher=nothing, wide=nothing)) == [
        "the teachers are asked at every step, as cache.disk_gb is 0"
    ]
    assert cache_lines(caches(disk_gb=0)) == []  # nothing is read of any teacher


def test_a_folder_below_the_users_own_is_told_from_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = Path.cwd() / "studies" / ".cache"
    (line,) = cache_lines(caches(folder, teacher=kept({LOGITS: 4}, {LOGITS: 10}, folder=folder)))
    assert " are kept in studies/.cache (" in line


def test_what_storing_has_changed_is_told_by_teacher_and_signal() -> None:
    error = {"worst": 0.0123, "relative": 0.00021}
    errors = {"teacher": {"logits": error | {"kl": 1.5e-7}}, "wide": {"features": error}}
    assert error_lines(errors) == [
        "teacher: its answers (logits) as stored differ by 2.1e-04 of their size, at most by "
        "1.2e-02, and by 1.5e-07 nats in their probabilities",
        "teacher wide: its answers (features) as stored differ by 2.1e-04 of their size, at most "
        "by 1.2e-02",
    ]
