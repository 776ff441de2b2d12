"""Specialists' signals: each in a cache of its own, and side by side as they would be live."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from kdsearch.data import Dataset, epoch_order
from kdsearch.models import Signal, build_network
from kdsearch.render.caches import cache_lines
from kdsearch.space.checks import Plan, make_plan
from kdsearch.teacher_cache.cached import CachedTeacher
from kdsearch.teacher_cache.choosing import plan_caches, prepare_caches
from kdsearch.teacher_cache.contents import Caches
from kdsearch.teacher_cache.reading import TeacherSignals
from kdsearch.training.by_task import ByTask, TeachersByTask
from kdsearch.training.packing import pack_teacher
from kdsearch.training.teacher import Batch, Reference, Teacher
from tests.specialists import CONVNET, spec_of
from tests.teacher_cache.helpers import batch_of

CPU = torch.device("cpu")
LOGITS = {Signal.LOGITS}
COLUMNS = {"teacher": 12, "inker": 1}


class Setting:
    """A study of specialists with initial weights, and its teachers as a trial has them."""

    def __init__(self, place: Path, columns: dict[str, int], **sections: Any) -> None:
        augmented = {"source": "digits", "validation": 0.2, "limit": 300, "augment": {"crop": 1}}
        self.plan: Plan = make_plan(spec_of(place, **{"data": augmented} | sections))
        self.data: Dataset = self.plan.data
        torch.manual_seed(2)
        given = self.plan.spec.given_teachers
        self.teachers = {
            name: Teacher(build_network(given[name].model, self.data.inputs, count))
            for name, count in columns.items()
        }
        self.caches: Caches = plan_caches(self.plan, self.teachers)
        prepare_caches(self.caches)
        shared = {
            "teachers": {
                name: pack_teacher(given[name].model, each) for name, each in self.teachers.items()
            },
            "caches": self.caches,
            "driver_node": SimpleNamespace(is_here=True),
            "by_task": ByTask.of(self.plan.spec, self.data),
        }
        self.signals = TeacherSignals(shared, self.data, CPU)

    def batches(self) -> Iterator[Batch]:
        """Two epochs of the views that trials see, in a training's order."""
        plan = self.caches.teachers["inker"].plan
        for epoch in range(2):
            for index in epoch_order(3, epoch, len(self.data.train)).split(60):
                yield batch_of(plan, self.data, index, epoch)

    def live(self, batch: Batch) -> Tensor:
        """What the networks say, side by side."""
        with torch.no_grad():
            found = [
                self.teachers[name].network(batch.inputs["image"]) for name in ("teacher", "inker")
            ]
        return torch.cat([found[0][:, :12], found[1]], dim=1)


@pytest.mark.parametrize("first", [{}, {"teacher": CONVNET}], ids=["specialist", "whole"])
def test_what_is_cached_is_what_the_specialists_say(tmp_path: Path, first: dict[str, Any]) -> None:
    columns = COLUMNS if not first else COLUMNS | {"teacher": 13}
    setting = Setting(tmp_path, columns, **first)
    keys = {cache.plan.key for cache in setting.caches.teachers.values()}
    assert len(keys) == 2
    together = setting.signals.teachers["by_task"]
    assert isinstance(together, TeachersByTask)
    for name in COLUMNS:
        assert isinstance(together._teachers[name], CachedTeacher)
    for batch in setting.batches():
        assert torch.equal(together.observe(batch, LOGITS).logits, setting.live(batch))
    for cache in setting.caches.teachers.values():
        assert cache.missing(2) == 0
        assert set(cache.plan.cached) == LOGITS


def test_views_of_other_seeds_are_asked_about_live(tmp_path: Path) -> None:
    setting = Setting(tmp_path, COLUMNS)
    other = setting.signals.of_views(-1)["by_task"]
    assert isinstance(other, TeachersByTask)
    assert not any(isinstance(each, CachedTeacher) for each in other._teachers.values())
    batch = next(setting.batches())
    assert torch.equal(other.observe(batch, LOGITS).logits, setting.live(batch))


@pytest.mark.parametrize("disk", [1, 0])
@pytest.mark.parametrize("split", ["validation", "test"])
def test_students_are_compared_with_the_specialists(
    tmp_path: Path, split: Any, disk: float
) -> None:
    setting = Setting(tmp_path, COLUMNS, cache={"disk_gb": disk})
    assert set(setting.caches.reference) == ({"validation", "test"} if disk else set())
    assert len(setting.caches.of_reference) == (4 if disk else 0)
    found = setting.signals.reference.logits(split)
    alone = [Reference(each, setting.data).logits(split) for each in setting.teachers.values()]
    assert torch.equal(found, torch.cat(alone, dim=1))
    assert found.shape == (len(getattr(setting.data, split)), 13)


def test_a_first_teacher_that_knows_all_is_compared_with_as_ever(tmp_path: Path) -> None:
    setting = Setting(tmp_path, COLUMNS | {"teacher": 13}, teacher=CONVNET)
    assert [list(plans) for plans in setting.caches.reference.values()] == [["teacher"]] * 2
    found = setting.signals.reference.logits("test")
    assert torch.equal(found, Reference(setting.teachers["teacher"], setting.data).logits("test"))


def test_each_cache_is_told_by_its_teacher(tmp_path: Path) -> None:
    setting = Setting(tmp_path, COLUMNS)
    starts = [line.partition(": the cache")[0] for line in cache_lines(setting.caches)]
    assert starts == ["teacher", "teacher inker"]
