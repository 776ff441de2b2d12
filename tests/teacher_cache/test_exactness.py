"""What is read from a cache is what the teacher says, and trains a student just so."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import chain, product
from pathlib import Path

import pytest
import torch

from kdsearch.data import Dataset
from kdsearch.models import Signal
from kdsearch.spec.sections import Augmentation
from kdsearch.teacher_cache import building
from kdsearch.teacher_cache.cache_plan import CachePlan, SplitViews
from kdsearch.training.task import Task
from kdsearch.training.teacher import Teacher, Teaching
from kdsearch.training.trainer import Trainer
from tests.teacher_cache.helpers import (
    CHANGING,
    PICTURES,
    RANDOM,
    SHOWN,
    Counting,
    batch_of,
    cached,
    plan_of,
    same_bits,
    tensors_of,
)

READING = {
    "kd": Signal.LOGITS,
    "crd": Signal.EMBEDDING,
    "at": Signal.ATTENTION,
    "fitnet": Signal.FEATURES,
    "ab": Signal.PREACTIVATION,
}
MakeTeacher = Callable[[], Teacher]


@pytest.mark.parametrize("part", [240, 239, 100, 7])
@pytest.mark.parametrize("augment", [CHANGING, PICTURES, RANDOM, None])
def test_every_signal_of_every_view_is_read_as_the_teacher_says_it(
    digits: Dataset,
    make_teacher: MakeTeacher,
    tmp_path: Path,
    part: int,
    augment: Augmentation | None,
) -> None:
    teacher = make_teacher()
    plan = plan_of(teacher, digits, tmp_path, augment=augment, part=part)
    reader = cached(plan, teacher, digits)
    for epoch in range(2):
        for index in torch.randperm(240).split(60):
            batch = batch_of(plan, digits, index, epoch)
            live = teacher.observe(batch, set(SHOWN))
            found = reader.observe(batch, set(SHOWN))
            assert same_bits(found, live)


def test_no_view_is_asked_about_alone_because_it_is_one_more_than_a_batch(
    digits: Dataset, make_teacher: MakeTeacher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(building, "BATCH", 239)
    teacher = make_teacher()
    plan = plan_of(teacher, digits, tmp_path, epochs=1)
    batch = batch_of(plan, digits, torch.arange(240), 0)
    live = teacher.observe(batch, set(SHOWN))
    assert same_bits(cached(plan, teacher, digits).observe(batch, set(SHOWN)), live)
    for size in (1, 239, 240, 478, 479, 1000):
        lengths = [len(index) for index in building.evenly(torch.arange(size))]
        assert sum(lengths) == size
        assert max(lengths) <= 239
        assert max(lengths) - min(lengths) <= 1


def test_each_signal_alone_and_the_same_sample_twice(
    digits: Dataset, make_teacher: MakeTeacher, tmp_path: Path
) -> None:
    teacher = make_teacher()
    plan = plan_of(teacher, digits, tmp_path, part=100)
    reader = cached(plan, teacher, digits)
    index = torch.tensor([239, 0, 100, 99, 0, 160, 80, 79, 239, 5])
    batch = batch_of(plan, digits, index, 1)
    for signal in SHOWN:
        live = tensors_of(teacher.observe(batch, {signal}), {signal})
        found = reader.observe(batch, {signal})
        assert all(map(torch.equal, tensors_of(found, {signal}), live))
        others = set(SHOWN) - {signal}
        assert all(getattr(found, other.value) in (None, ()) for other in others)


def test_files_share_the_samples_evenly_and_know_where_each_lies(tmp_path: Path) -> None:
    for samples, part in product((1, 2, 23, 24, 25), range(1, 27)):
        views = SplitViews("train", None, 0, 1)
        plan = CachePlan(tmp_path, "key", samples, views, {}, {}, part=part)
        files = [list(plan.rows(number)) for number in plan.parts]
        assert list(chain(*files)) == list(range(samples))
        assert len(files) == math.ceil(samples / part)
        assert max(map(len, files)) - min(map(len, files)) <= 1
        of = [number for number, rows in enumerate(files) for _ in rows]
        assert plan.part_of(torch.arange(samples)).tolist() == of


def losses(trainer: Trainer) -> list[float]:
    """The loss of every step of one epoch."""
    steps = [trainer.train_step(batch, step) for step, batch in enumerate(trainer.begin_epoch())]
    trainer.end_epoch(steps, 0.0)
    return [float(loss) for loss in steps]


@pytest.mark.parametrize(
    ("label", "augment"),
    [
        *product([*READING, "kd+crd+fitnet+at"], [CHANGING, Augmentation()]),
        ("kd+fitnet", PICTURES),
        ("kd", RANDOM),
    ],
)
def test_every_step_of_a_training_has_the_loss_that_it_has_under_the_live_teacher(
    digits: Dataset,
    make_teacher: MakeTeacher,
    make_task: Callable[..., Task],
    tmp_path: Path,
    label: str,
    augment: Augmentation,
) -> None:
    teacher = make_teacher()
    plan = plan_of(teacher, digits, tmp_path, augment=augment, epochs=3, part=100)
    task = make_task(label, augment=augment.model_dump(), epochs=3)
    counting = Counting(teacher)
    told: list[list[float]] = []
    for teaching in (teacher, cached(plan, counting, digits)):
        trainer = Trainer(task, digits, teaching)
        told.append([loss for _ in range(3) for loss in losses(trainer)])
    live, remembered = told
    assert remembered == pytest.approx(live, rel=1e-6, abs=1e-6)
    stored = range(1) if augment == Augmentation() else range(3)
    assert counting.asked == {(epoch, place): 1 for epoch in stored for place in range(240)}
    assert counting.checks == 3


def test_a_training_resumed_in_another_process_state_goes_on_with_the_same_losses(
    digits: Dataset, make_teacher: MakeTeacher, make_task: Callable[..., Task], tmp_path: Path
) -> None:
    teacher = make_teacher()
    plan = plan_of(teacher, digits, tmp_path, epochs=4)
    task = make_task("kd+at", augment=CHANGING.model_dump(), epochs=4)

    def begin(teaching: Teaching) -> Trainer:
        return Trainer(task, digits, teaching)

    whole = begin(teacher)
    expected = [loss for _ in range(4) for loss in losses(whole)]
    first = begin(cached(plan, teacher, digits))
    found = [loss for _ in range(2) for loss in losses(first)]
    second = begin(cached(plan, teacher, digits))
    second.load_state_dict(first.state_dict())
    found += [loss for _ in range(2) for loss in losses(second)]
    assert found == pytest.approx(expected, rel=1e-6, abs=1e-6)


def test_without_changes_of_the_images_one_epoch_is_kept_for_all(
    digits: Dataset, make_teacher: MakeTeacher, tmp_path: Path
) -> None:
    teacher = make_teacher()
    plan = plan_of(teacher, digits, tmp_path, {Signal.LOGITS}, Augmentation(), epochs=50)
    assert plan.epochs == 1
    assert plan.cached == {Signal.LOGITS: 50}
    counting = Counting(teacher)
    reader = cached(plan, counting, digits)
    for epoch in (3, 49, 0):
        batch = batch_of(plan, digits, torch.arange(240), epoch)
        live = teacher.observe(batch, {Signal.LOGITS}).logits
        found = reader.observe(batch, {Signal.LOGITS}).logits
        assert live is not None
        assert found is not None
        assert torch.equal(found, live)
    assert set(counting.asked.values()) == {1}
    assert plan.bytes == 240 * 10 * 4
