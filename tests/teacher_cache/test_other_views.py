"""Finalists see views of their own, of which nothing is kept: the teacher itself answers."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from kdsearch.data import Batch
from kdsearch.models import Signal, Signals, build_network
from kdsearch.space.checks import make_plan
from kdsearch.spec import MethodConfig, TermConfig, parse_spec
from kdsearch.spec.concrete import ModelConfig, TrainingConfig
from kdsearch.teacher_cache import reading
from kdsearch.teacher_cache.building import CacheBuilder
from kdsearch.teacher_cache.choosing import plan_caches, prepare_caches
from kdsearch.teacher_cache.reading import TeacherSignals
from kdsearch.training.by_task import ByTask
from kdsearch.training.packing import pack_teacher, unpack_teacher
from kdsearch.training.programs import begin_training
from kdsearch.training.recipe import Recipe
from kdsearch.training.task import Task
from kdsearch.training.teacher import Teacher, Teaching
from tests.conftest import TEXT

CPU = torch.device("cpu")


class Counting(Teacher):
    """A teacher that counts the views that it is asked about."""

    asked = 0

    def observe(self, batch: Batch, wanted: Collection[Signal]) -> Signals:
        self.asked += len(batch)
        return super().observe(batch, wanted)


class Setting:
    """A study of two epochs whose cache is built, and what its trials ask."""

    def __init__(self, place: Path, augment: str) -> None:
        words = ["methods=[kd]", f"data.augment={augment}", "training.epochs=2"]
        self.plan = make_plan(parse_spec(TEXT.format(directory=place), words))
        self.data, model = self.plan.data, self.plan.spec.teacher.model
        torch.manual_seed(1)
        self.teacher = Counting(build_network(model, self.data.inputs, 10))
        caches = plan_caches(self.plan, {"teacher": self.teacher})
        prepare_caches(caches)
        kept = caches.teachers["teacher"].plan
        for epoch in range(kept.epochs):
            CacheBuilder(kept, self.teacher, self.data, CPU).build_epoch(epoch)
        shared: dict[str, Any] = {
            "teachers": {"teacher": pack_teacher(model, self.teacher)},
            "caches": caches,
            "driver_node": SimpleNamespace(is_here=True),
            "by_task": ByTask(),
        }
        self.signals = TeacherSignals(shared, self.data, CPU)

    def task(self, replicate: int) -> Task:
        method = MethodConfig(label="kd", ce_weight=0.1, terms=(TermConfig(name="kd"),))
        training = self.plan.spec.training.model_dump() | {"lr": 0.05}
        model = ModelConfig(family="convnet", width=0.2, depth=1)
        recipe = Recipe(model, method, TrainingConfig.model_validate(training), "teacher")
        return recipe.task(self.plan.spec, replicate)

    def losses(self, task: Task, teachers: dict[str, Teaching]) -> list[float]:
        training = begin_training(task, self.data, teachers)
        return [training.train_epoch().loss for _ in range(2)]


@pytest.fixture(autouse=True)
def _counted(monkeypatch: pytest.MonkeyPatch) -> None:
    def unpack(packed: dict[str, Any], device: torch.device) -> Counting:
        return Counting(unpack_teacher(packed, device).network)

    monkeypatch.setattr(reading, "unpack_teacher", unpack)


def test_a_finalist_learns_from_the_teacher_itself(tmp_path: Path) -> None:
    setting = Setting(tmp_path, "{crop: 1}")
    live: Any = setting.signals.of_views(setting.task(1).views_seed)["teacher"]
    seeds = {setting.task(replicate).views_seed for replicate in range(4)}
    assert len(seeds) == 4
    for replicate in (1, 2):
        task = setting.task(replicate)
        before = live.asked
        found = setting.losses(task, setting.signals.of_views(task.views_seed))
        steps = len(setting.data.train) // task.training.batch_size
        assert live.asked - before == 2 * steps * task.training.batch_size
        assert found == setting.losses(task, {"teacher": setting.teacher})


def test_a_trial_of_the_search_reads_what_is_kept(tmp_path: Path) -> None:
    setting = Setting(tmp_path, "{crop: 1}")
    task = setting.task(0)
    live: Any = setting.signals.of_views(-1)["teacher"]
    found = setting.losses(task, setting.signals.of_views(task.views_seed))
    assert live.asked <= 2 * 4  # a few beside the cache, to compare
    assert found == pytest.approx(setting.losses(task, {"teacher": setting.teacher}), rel=1e-6)


def test_where_nothing_changes_the_images_the_views_are_the_same(tmp_path: Path) -> None:
    setting = Setting(tmp_path, "{}")
    task = setting.task(3)
    teachers = setting.signals.of_views(task.views_seed)
    assert teachers == setting.signals.of_views(setting.task(0).views_seed)
    found = setting.losses(task, teachers)
    assert found == pytest.approx(setting.losses(task, {"teacher": setting.teacher}), rel=1e-6)
