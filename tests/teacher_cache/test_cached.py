"""What is not kept is asked of the teacher; what is kept serves several studies."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from kdsearch.data import Dataset
from kdsearch.models import Signal
from kdsearch.teacher_cache.building import CacheBuilder
from kdsearch.teacher_cache.cache_plan import CachePlan
from kdsearch.teacher_cache.cached import CachedTeacher
from kdsearch.teacher_cache.parts import facts_file, map_part
from kdsearch.training.teacher import AveragedTeachers, Teacher
from tests.teacher_cache.helpers import (
    CPU,
    SHOWN,
    Counting,
    batch_of,
    build,
    cached,
    plan_of,
    same_bits,
    tensors_of,
)

MakeTeacher = Callable[[], Teacher]


def test_a_reader_goes_on_when_its_cache_is_removed(
    digits: Dataset, make_teacher: MakeTeacher, tmp_path: Path
) -> None:
    teacher = make_teacher()
    plan = plan_of(teacher, digits, tmp_path / "cache", epochs=2)
    build(plan, teacher, digits)
    reader = cached(plan, counting := Counting(teacher), digits)
    first, second = (batch_of(plan, digits, torch.arange(240), epoch) for epoch in range(2))
    before = reader.observe(first, set(SHOWN))
    shutil.rmtree(plan.place)
    assert same_bits(reader.observe(first, set(SHOWN)), before)
    assert not counting.asked
    assert same_bits(reader.observe(second, set(SHOWN)), teacher.observe(second, set(SHOWN)))
    assert map_part(plan, Signal.LOGITS, 1, 0) is not None


def test_what_is_not_kept_is_asked_of_the_teacher(
    digits: Dataset, make_teacher: MakeTeacher, tmp_path: Path
) -> None:
    teacher = make_teacher()
    plan = plan_of(teacher, digits, tmp_path, {Signal.LOGITS, Signal.FEATURES}, epochs=3)
    plan = replace(plan, cached={Signal.LOGITS: 2, Signal.FEATURES: 1})
    build(plan, teacher, digits)
    reader = cached(plan, counting := Counting(teacher), digits)
    wanted_of = {0: {Signal.FEATURES, Signal.LOGITS}, 1: {Signal.LOGITS}, 2: set[Signal]()}
    for epoch, kept in wanted_of.items():
        batch = batch_of(plan, digits, torch.arange(60), epoch)
        for wanted in ({Signal.LOGITS}, {Signal.FEATURES}, {Signal.LOGITS, Signal.FEATURES}):
            counting.asked.clear()
            found, live = reader.observe(batch, wanted), teacher.observe(batch, wanted)
            assert all(map(torch.equal, tensors_of(found, wanted), tensors_of(live, wanted)))
            assert bool(counting.asked) == (not wanted <= kept)
    assert not plan.file(Signal.FEATURES, 1, 0).exists()


def test_studies_that_keep_different_signals_under_one_key_add_to_each_other(
    digits: Dataset, make_teacher: MakeTeacher, tmp_path: Path
) -> None:
    teacher = make_teacher()
    few = plan_of(teacher, digits, tmp_path, {Signal.LOGITS}, epochs=1)
    more = plan_of(teacher, digits, tmp_path, {Signal.LOGITS, Signal.EMBEDDING}, epochs=2)
    assert few.key == more.key
    build(few, teacher, digits)
    logits = few.file(Signal.LOGITS, 0, 0)
    written = logits.stat().st_mtime_ns
    build(more, counting := Counting(teacher), digits)
    assert set(counting.asked.values()) == {1}
    assert logits.stat().st_mtime_ns == written
    again = cached(few, silent := Counting(teacher), digits)
    again.observe(batch_of(few, digits, torch.arange(60), 0), {Signal.LOGITS})
    assert not silent.asked


def test_reading_changes_neither_files_nor_later_readings(
    digits: Dataset, make_teacher: MakeTeacher, tmp_path: Path
) -> None:
    teacher = make_teacher()
    plan = plan_of(teacher, digits, tmp_path, epochs=1)
    reader = cached(plan, teacher, digits)
    batch = batch_of(plan, digits, torch.arange(240), 0)
    live = teacher.observe(batch, set(SHOWN))
    for value in tensors_of(reader.observe(batch, set(SHOWN))):
        value.mul_(0)
    assert same_bits(reader.observe(batch, set(SHOWN)), live)
    assert same_bits(cached(plan, teacher, digits).observe(batch, set(SHOWN)), live)


def test_teachers_that_are_averaged_are_read_each_from_its_own_cache(
    digits: Dataset, make_teacher: MakeTeacher, tmp_path: Path
) -> None:
    one, two = make_teacher(), make_teacher()
    with torch.no_grad():
        next(two.network.parameters()).mul_(-1)
    plans = [plan_of(teacher, digits, tmp_path, {Signal.LOGITS}) for teacher in (one, two)]
    assert plans[0].key != plans[1].key
    readers = [cached(plan, t, digits) for plan, t in zip(plans, (one, two), strict=True)]
    batch = batch_of(plans[0], digits, torch.arange(60), 1)
    found = AveragedTeachers(readers).observe(batch, {Signal.LOGITS}).logits
    live = AveragedTeachers([one, two]).observe(batch, {Signal.LOGITS}).logits
    assert found is not None
    assert live is not None
    assert torch.equal(found, live)


def test_parts_come_from_another_node_and_only_what_it_lacks_is_built(
    digits: Dataset, make_teacher: MakeTeacher, tmp_path: Path
) -> None:
    teacher = make_teacher()
    there = plan_of(teacher, digits, tmp_path / "there", {Signal.LOGITS}, epochs=1, part=100)
    build(there, teacher, digits)
    here = replace(there, folder=tmp_path / "here")
    torn = there.file(Signal.LOGITS, 0, 1)
    torn.write_bytes(torn.read_bytes()[:-4] + b"torn")
    gone = there.file(Signal.LOGITS, 0, 2)
    gone.unlink()
    fetched: list[int] = []

    def fetch(plan: CachePlan, signal: Signal, epoch: int, part: int) -> None:
        fetched.append(part)
        source, target = (x.file(signal, epoch, part) for x in (there, plan))
        if source.exists():
            shutil.copy(source, target)
            shutil.copy(facts_file(source), facts_file(target))

    counting = Counting(teacher)
    reader = CachedTeacher(CacheBuilder(here, counting, digits, CPU), fetch)
    batch = batch_of(here, digits, torch.arange(240), 0)
    for _ in range(2):
        found = reader.observe(batch, {Signal.LOGITS})
        assert torch.equal(
            tensors_of(found, {Signal.LOGITS})[0],
            tensors_of(teacher.observe(batch, {Signal.LOGITS}), {Signal.LOGITS})[0],
        )
    assert fetched == [0, 1, 2]
    assert counting.asked == {(0, place): 1 for place in range(80, 240)}


def test_only_what_is_missing_is_looked_for_on_another_node(
    digits: Dataset, make_teacher: MakeTeacher, tmp_path: Path
) -> None:
    teacher = make_teacher()
    few = plan_of(teacher, digits, tmp_path, {Signal.LOGITS}, epochs=1)
    build(few, teacher, digits)
    more = plan_of(teacher, digits, tmp_path, {Signal.LOGITS, Signal.EMBEDDING}, epochs=1)
    sought: list[Signal] = []
    builder = CacheBuilder(more, teacher, digits, CPU)
    CachedTeacher(builder, lambda plan, signal, epoch, part: sought.append(signal))
    builder.build_epoch(0)
    assert sought == [Signal.EMBEDDING]


def test_an_epoch_is_made_ready_once_however_many_parts_it_has(
    digits: Dataset, make_teacher: MakeTeacher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    teacher = make_teacher()
    plan = plan_of(teacher, digits, tmp_path, {Signal.LOGITS}, part=20)
    builder = CacheBuilder(plan, teacher, digits, CPU)
    build_epoch, ready = builder.build_epoch, list[int]()

    def note(epoch: int) -> None:
        ready.append(epoch)
        build_epoch(epoch)

    monkeypatch.setattr(builder, "build_epoch", note)
    reader = CachedTeacher(builder)
    for epoch in (0, 1, 0):
        for index in torch.arange(240).split(50):
            reader.observe(batch_of(plan, digits, index, epoch), {Signal.LOGITS})
    assert ready == [0, 1]
