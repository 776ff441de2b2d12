"""A full or read-only disk costs the cache and nothing else: the teacher runs at every step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from kdsearch.data import Dataset
from kdsearch.models import Signal
from kdsearch.spec.sections import CacheSection
from kdsearch.teacher_cache import cached as cached_module
from kdsearch.teacher_cache import reading
from kdsearch.teacher_cache.cache_plan import CachePlan, SplitViews
from kdsearch.teacher_cache.contents import Caches, TeacherCache
from kdsearch.teacher_cache.parts import map_part
from kdsearch.teacher_cache.reading import TeacherSignals
from kdsearch.training.by_task import ByTask
from kdsearch.training.packing import pack_teacher
from kdsearch.training.task import Task
from kdsearch.training.teacher import Reference, Teacher, Teaching
from kdsearch.training.trainer import Trainer
from tests.conftest import SmallDisk
from tests.teacher_cache.helpers import (
    CHANGING,
    CPU,
    MODEL,
    Counting,
    batch_of,
    build,
    cached,
    plan_of,
)

MakeTeacher = Callable[[], Teacher]
WANTED = {Signal.LOGITS}


def losses(task: Task, data: Dataset, teaching: Teaching) -> list[float]:
    """The loss of every step of a training."""
    trainer = Trainer(task, data, teaching)
    found = []
    while not trainer.finished:
        steps = [
            trainer.train_step(batch, step) for step, batch in enumerate(trainer.begin_epoch())
        ]
        trainer.end_epoch(steps, 0.0)
        found += [float(loss) for loss in steps]
    return found


def cached_epochs(plan: CachePlan) -> list[int]:
    epochs = range(plan.epochs)
    return [epoch for epoch in epochs if map_part(plan, Signal.LOGITS, epoch, 0) is not None]


def test_a_training_goes_on_when_the_disk_is_full(
    digits: Dataset,
    make_teacher: MakeTeacher,
    make_task: Callable[..., Task],
    small_disk: SmallDisk,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    teacher = make_teacher()
    plan = plan_of(teacher, digits, small_disk.folder, WANTED, epochs=9)
    task = make_task("kd", augment=CHANGING.model_dump(), epochs=9)
    reader = cached(plan, counting := Counting(teacher), digits)
    found = losses(task, digits, reader)
    assert found == pytest.approx(losses(task, digits, teacher), rel=1e-6, abs=1e-6)

    there = cached_epochs(plan)
    assert there == list(range(len(there)))
    assert 0 < len(there) < 9
    assert not list(plan.place.glob(".*.partial"))
    # the first epoch without room is tried once, then every view is computed as it is needed
    expected = {(epoch, view): 1 for epoch in range(9) for view in range(240)}
    expected |= {(len(there), view): 2 for view in range(240)}
    assert counting.asked == expected
    assert reader.warning is not None
    assert "No space left" in reader.warning
    assert capfd.readouterr().err == f"kdsearch: {reader.warning}\n"

    small_disk.change("size=1m")
    monkeypatch.setattr(cached_module, "RETRY_SECONDS", 0.0)
    reader.observe(batch_of(plan, digits, torch.arange(60), 8), WANTED)
    assert cached_epochs(plan) == there  # not before some time has passed
    reader._retry_at = 0.0
    reader.observe(batch_of(plan, digits, torch.arange(60), 8), WANTED)
    assert cached_epochs(plan) == [*there, 8]


def test_a_read_only_cache_is_read(
    digits: Dataset,
    make_teacher: MakeTeacher,
    small_disk: SmallDisk,
    capfd: pytest.CaptureFixture[str],
) -> None:
    teacher = make_teacher()
    plan = plan_of(teacher, digits, small_disk.folder, WANTED, epochs=2)
    build(replace(plan, cached={Signal.LOGITS: 1}), teacher, digits)
    small_disk.change("ro")
    reader = cached(plan, counting := Counting(teacher), digits)
    first, second = (batch_of(plan, digits, torch.arange(240), epoch) for epoch in range(2))
    for _ in range(2):
        assert same_logits(reader, teacher, first)
    assert not counting.asked
    assert reader.warning is None
    for _ in range(2):
        assert same_logits(reader, teacher, second)
    assert set(counting.asked.values()) == {2}  # at every step, and nothing was tried in vain
    assert capfd.readouterr().err.count("\n") == 1


def same_logits(one: Teaching, other: Teaching, batch: Any) -> bool:
    found, expected = (each.observe(batch, WANTED).logits for each in (one, other))
    assert found is not None
    assert expected is not None
    return torch.equal(found, expected)


def test_a_node_that_cannot_write_anywhere_computes_everything(
    digits: Dataset,
    make_teacher: MakeTeacher,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "file").write_text("mine")
    monkeypatch.setattr(reading, "_own_folder", lambda: tmp_path / "file" / "cache")
    teacher = make_teacher()
    plan = plan_of(teacher, digits, tmp_path / "missing", WANTED)
    reference = replace(plan, views=SplitViews("test", None, 0, 1), samples=len(digits.test))
    reference = replace(reference, key="0" * 16, cached={Signal.LOGITS: 1})
    caches = Caches(
        {"teacher": TeacherCache(plan, frozenset(WANTED), None)},
        {"test": {"teacher": reference}},
        tmp_path / "missing",
        CacheSection(),
    )
    shared = {
        "teachers": {"teacher": pack_teacher(MODEL, teacher)},
        "caches": caches,
        "driver_node": SimpleNamespace(is_here=True),
        "by_task": ByTask(),
    }
    signals = TeacherSignals(shared, digits, CPU)
    assert signals.warning is None
    for epoch in range(2):
        batch = batch_of(plan, digits, torch.arange(60), epoch)
        assert same_logits(signals.teachers["teacher"], teacher, batch)
    assert torch.equal(signals.reference.logits("test"), Reference(teacher, digits).logits("test"))
    assert signals.warning is not None
    assert "set cache.folder to another disk" in signals.warning
    assert str(tmp_path / "file" / "cache") in capfd.readouterr().err
