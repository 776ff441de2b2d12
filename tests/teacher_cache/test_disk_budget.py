"""What is kept, what it takes on disk, and what makes room for it."""

from __future__ import annotations

import os
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch

from kdsearch.data import Dataset
from kdsearch.errors import TeacherError
from kdsearch.models import Signal, SignalShapes
from kdsearch.teacher_cache.cache_plan import PART, PART_BYTES, allot, part_size, signal_bytes
from kdsearch.teacher_cache.parts import folder_bytes, make_room, mark_used
from kdsearch.training.teacher import Teacher
from tests.methods.maps import map_stages
from tests.teacher_cache.helpers import SHOWN, batch_of, build, cached, plan_of

SHAPES = SignalShapes(classes=100, embedding=64, features=map_stages((16, 8, 8), (32, 4, 4)))


def test_the_bytes_of_a_sample_by_hand() -> None:
    found = {signal: signal_bytes(signal, SHAPES, "float32", None) for signal in SHOWN}
    maps = 4 * (16 * 64 + 32 * 16)
    assert found == {
        Signal.LOGITS: 400,
        Signal.EMBEDDING: 256,
        Signal.ATTENTION: 4 * (64 + 16),
        Signal.FEATURES: maps,
        Signal.PREACTIVATION: maps,
    }
    halves = {signal: signal_bytes(signal, SHAPES, "float16", None) for signal in SHOWN}
    assert {signal: 2 * size for signal, size in halves.items()} == found
    assert signal_bytes(Signal.LOGITS, SHAPES, "float32", 5) == 5 * (4 + 4) + 4
    assert signal_bytes(Signal.LOGITS, SHAPES, "float16", 5) == 5 * (2 + 4) + 2
    assert signal_bytes(Signal.LOGITS, SHAPES, "float32", 100) == 400


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("top_k", [None, 3])
def test_the_plan_knows_what_the_files_take(
    digits: Dataset,
    make_teacher: Callable[[], Teacher],
    tmp_path: Path,
    dtype: Any,
    top_k: int | None,
) -> None:
    teacher = make_teacher()
    plan = plan_of(teacher, digits, tmp_path, epochs=1, dtype=dtype, top_k=top_k)
    build(plan, teacher, digits)
    files = list(plan.place.glob("*.safetensors"))
    assert len(files) == len(SHOWN)
    heads = sum(8 + int.from_bytes(file.read_bytes()[:8], "little") for file in files)
    assert sum(file.stat().st_size for file in files) == plan.bytes + heads


def greedy(sizes: list[int], samples: int, epochs: int, budget: float) -> list[int]:
    """One epoch after another of each signal, the smallest first, while it fits."""
    kept = [0] * len(sizes)
    for place in sorted(range(len(sizes)), key=lambda place: sizes[place]):
        while kept[place] < epochs and sizes[place] * samples <= budget:
            kept[place] += 1
            budget -= sizes[place] * samples
    return kept


@pytest.mark.parametrize("budget", [-5, 0, 29, 30, 59, 60, 240, 1000, 1e5, float("inf")])
def test_the_smallest_signals_and_the_first_epochs_are_kept(budget: float) -> None:
    signals = [Signal.FEATURES, Signal.LOGITS, Signal.EMBEDDING]
    for sizes in product((1, 3, 40), repeat=3):
        if len(set(sizes)) == 3:
            wanted = dict(zip(signals, sizes, strict=True))
            for samples, epochs in product((10, 11), (0, 1, 4)):
                kept = allot(wanted, samples, epochs, budget)
                expected = greedy(list(sizes), samples, epochs, budget)
                assert [kept[signal] for signal in signals] == expected


def test_signals_of_one_size_are_served_in_one_order() -> None:
    sizes = dict.fromkeys(Signal, 8)
    other = dict(reversed(sizes.items()))
    assert allot(sizes, 10, 3, 400) == allot(other, 10, 3, 400)


def test_a_signal_that_takes_nothing_is_kept() -> None:
    assert allot({Signal.EMBEDDING: 0, Signal.LOGITS: 1}, 10, 3, 0) == {
        Signal.EMBEDDING: 3,
        Signal.LOGITS: 0,
    }


@pytest.mark.parametrize("largest", [0, 1, 4, 4000, PART_BYTES // PART, 10**6, PART_BYTES, 10**12])
def test_no_file_is_larger_than_can_be_held(largest: int) -> None:
    size = part_size([1, largest])
    assert 1 <= size <= PART
    assert size * largest <= PART_BYTES or size == 1
    assert size == PART or (size + 1) * largest > PART_BYTES


def put_cache(folder: Path, key: str, size: int, used: float) -> Path:
    """A cache of some bytes that was used at some time."""
    place = folder / key
    mark_used(place)
    (place / "logits-0000-000.safetensors").write_bytes(b"0" * size)
    os.utime(place / "used", (used, used))
    return place


KEYS = [f"{number:016x}" for number in range(4)]


@pytest.mark.parametrize(
    ("budget", "keep", "removed"),
    [
        (400, [], []),
        (399, [], [2]),
        (300, [], [2]),
        (299, [], [2, 0]),
        (0, [], [2, 0, 3, 1]),
        (-1, [], [2, 0, 3, 1]),
        (300, [2], []),
        (299, [2], [0]),
        (100, [2, 3], [0]),
        (0, [2, 0, 1, 3], []),
    ],
)
def test_what_was_used_longest_ago_goes_first(
    tmp_path: Path, budget: float, keep: list[int], removed: list[int]
) -> None:
    for key, used in zip(KEYS, (20.0, 40.0, 10.0, 30.0), strict=True):
        put_cache(tmp_path, key, 100, used)
    gone = make_room(tmp_path, budget, {KEYS[number] for number in keep})
    assert gone == [KEYS[number] for number in removed]
    left = {path.name for path in tmp_path.iterdir()}
    assert left == set(KEYS) - set(gone)


def test_a_cache_that_is_read_counts_as_used(
    digits: Dataset, make_teacher: Callable[[], Teacher], tmp_path: Path
) -> None:
    teacher = make_teacher()
    plan = plan_of(teacher, digits, tmp_path, {Signal.LOGITS}, epochs=1)
    build(plan, teacher, digits)
    mark_used(plan.place)
    os.utime(plan.place / "used", (5.0, 5.0))
    put_cache(tmp_path, KEYS[0], 100, 10.0)
    batch = batch_of(plan, digits, torch.arange(240), 0)
    cached(plan, teacher, digits).observe(batch, {Signal.LOGITS})
    assert make_room(tmp_path, folder_bytes(plan.place), ()) == [KEYS[0]]


def test_nothing_but_caches_is_removed_from_a_users_folder(tmp_path: Path) -> None:
    put_cache(tmp_path, KEYS[0], 100, 10.0)
    run = tmp_path / f"{KEYS[0]}.run"
    run.mkdir()
    (run / "snapshot.json").write_text("{}")
    users = [tmp_path / "photos" / "used", tmp_path / KEYS[1] / "mine", tmp_path / KEYS[2]]
    for path in users:
        path.parent.mkdir(exist_ok=True)
        path.write_text("mine")
    assert make_room(tmp_path, 0, ()) == [KEYS[0]]
    assert not run.exists()
    assert all(path.read_text() == "mine" for path in users)


def test_a_folder_that_is_not_there_has_room(tmp_path: Path) -> None:
    assert make_room(tmp_path / "none", 0, ()) == []
    assert folder_bytes(tmp_path / "none") == 0


def test_a_place_that_is_no_folder_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(TeacherError, match=r"cannot be cached in .*; make room there, set cache"):
        mark_used(tmp_path / "file" / KEYS[0])
