"""Workers at one cache: two that share each batch, and a Ray Train group that builds ahead."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from kdsearch.data import Dataset
from kdsearch.errors import TeacherError
from kdsearch.models import Signal, build_network
from kdsearch.spec import parse_spec
from kdsearch.spec.concrete import ModelConfig
from kdsearch.teacher_cache.cache_plan import CachePlan
from kdsearch.teacher_cache.contents import Caches, TeacherCache
from kdsearch.teacher_cache.parts import map_part
from kdsearch.teacher_cache.prebuild import build_ahead
from kdsearch.training.packing import pack_teacher
from kdsearch.training.ray_train import SharedData
from kdsearch.training.task import Task
from kdsearch.training.teacher import Teacher
from tests.conftest import TEXT, SmallDisk
from tests.teacher_cache.helpers import CHANGING, MODEL, SHOWN, build, plan_of, write_order
from tests.training.own_networks import MARKER

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
MakeTeacher = Callable[[], Teacher]


def test_two_workers_train_under_the_cache_as_under_the_live_teacher(
    digits: Dataset, make_teacher: MakeTeacher, make_task: Callable[..., Task], tmp_path: Path
) -> None:
    teacher = make_teacher()
    plan = plan_of(teacher, digits, tmp_path / "cache", epochs=3, part=50)
    write_order(tmp_path / "order", plan, teacher)
    task = make_task("kd+crd+fitnet+at", augment=CHANGING.model_dump(), epochs=3)
    (tmp_path / "task.json").write_text(task.model_dump_json())
    module = "tests.teacher_cache.ranked_process"
    commands = [[sys.executable, "-m", module, str(rank), str(tmp_path)] for rank in (0, 1)]
    workers = [
        subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
        for command in commands
    ]
    for worker in workers:
        _, complaint = worker.communicate(timeout=900)
        assert worker.returncode == 0, complaint
    asked: list[list[int]] = []
    for rank in (0, 1):
        told = json.loads((tmp_path / f"{rank}.json").read_text())
        live, remembered = told["losses"]
        assert len(live) == 3 * 4
        assert remembered == pytest.approx(live, rel=1e-6, abs=1e-6)
        asked += told["asked"]
    assert sorted(asked) == [[epoch, place, 1] for epoch in range(3) for place in range(240)]


def build_ahead_of(
    plan: CachePlan,
    teacher: Teacher,
    data: Dataset,
    workers: int,
    epochs: int = 2,
    model: ModelConfig = MODEL,
) -> list[int]:
    """Build the first epochs on workers; the numbers of parts that were told on the way."""
    cache = TeacherCache(plan, frozenset(plan.cached), None)
    words = [f"cache.workers={workers}", f"cache.ahead={epochs}"]
    spec = parse_spec(TEXT.format(directory=plan.folder), words)
    caches = Caches({"teacher": cache}, {}, plan.folder, spec.cache)
    told: list[int] = []

    def on_part(name: str, done: int, total: int) -> None:
        assert (name, total) == ("teacher", epochs * len(plan.parts))
        told.append(done)

    packed = {"teacher": pack_teacher(model, teacher)}
    build_ahead(caches, packed, spec, SharedData.put(data), on_part)
    return told


def content(plan: CachePlan) -> dict[tuple[Any, ...], torch.Tensor]:
    """Every tensor of a cache that can be read."""
    found: dict[tuple[Any, ...], torch.Tensor] = {}
    for signal in SHOWN:
        for epoch in range(plan.epochs):
            for part in plan.parts:
                rows = map_part(plan, signal, epoch, part) or {}
                found |= {(signal, epoch, part, name): value for name, value in rows.items()}
    return found


def written(plan: CachePlan) -> dict[str, int]:
    """When each file was written, in nanoseconds."""
    files = [*plan.place.glob("*.safetensors"), *plan.place.glob("*.json")]
    return {file.name: file.stat().st_mtime_ns for file in files}


def assert_same(found: CachePlan, expected: CachePlan, epochs: int) -> None:
    """The first epochs, and no others, are kept, as they were built elsewhere."""
    answers = content(expected)
    kept = content(found)
    assert set(kept) == {place for place in answers if place[1] < epochs}
    for place, value in kept.items():
        torch.testing.assert_close(value, answers[place], rtol=1e-6, atol=1e-6)


@pytest.mark.usefixtures("private_ray")
def test_any_number_of_workers_builds_what_one_process_builds_and_nothing_twice(
    digits: Dataset, make_teacher: MakeTeacher, tmp_path: Path
) -> None:
    teacher = make_teacher()
    plan = plan_of(teacher, digits, tmp_path / "ray", epochs=3, part=50)
    here = replace(plan, folder=tmp_path / "here")
    build(here, teacher, digits)
    assert build_ahead_of(plan, teacher, digits, 2) == list(range(1, 11))
    assert_same(plan, here, epochs=2)

    before = written(plan)
    assert build_ahead_of(plan, teacher, digits, 2) == []  # all is there
    assert written(plan) == before
    assert build_ahead_of(plan, teacher, digits, 1, epochs=3) == list(range(1, 16))
    assert_same(plan, here, epochs=3)
    assert before.items() <= written(plan).items()


@pytest.mark.usefixtures("private_ray")
def test_a_killed_worker_goes_on_where_it_was(digits: Dataset, tmp_path: Path) -> None:
    model = ModelConfig(family="tests.teacher_cache.mortal:dies_once", width=5)
    teacher = Teacher(build_network(model, digits.inputs, 10))
    plan = plan_of(teacher, digits, tmp_path / "ray", {Signal.LOGITS}, part=40)
    told = build_ahead_of(plan, teacher, digits, 1, model=model)
    # it died at the fifth of twelve parts, and who came after asked for the other eight
    assert Path(os.environ[MARKER]).read_text() == "8"
    assert sorted(set(told)) == list(range(1, 13))
    here = replace(plan, folder=tmp_path / "here")
    build(here, teacher, digits)
    assert_same(plan, here, epochs=plan.epochs)


@pytest.mark.usefixtures("private_ray")
def test_what_cannot_be_stored_is_one_sentence(
    digits: Dataset, make_teacher: MakeTeacher, tmp_path: Path
) -> None:
    teacher = make_teacher()
    with torch.no_grad():
        for parameter in teacher.network.parameters():
            parameter.mul_(300)
    plan = plan_of(teacher, digits, tmp_path, {Signal.LOGITS}, dtype="float16")
    with pytest.raises(TeacherError) as caught:
        build_ahead_of(plan, teacher, digits, 1)
    assert str(caught.value) == (
        "the teacher's signals could not be cached: the teacher's logits values are beyond what "
        "float16 holds; set cache.dtype to float32"
    )


@pytest.mark.usefixtures("private_ray")
def test_workers_that_fill_the_disk_stop_and_say_so_once(
    digits: Dataset,
    make_teacher: MakeTeacher,
    small_disk: SmallDisk,
    capfd: pytest.CaptureFixture[str],
) -> None:
    teacher = make_teacher()
    plan = plan_of(teacher, digits, small_disk.folder, {Signal.LOGITS}, epochs=12)
    told = build_ahead_of(plan, teacher, digits, 2, epochs=12)
    assert told == list(range(1, len(told) + 1))
    assert 0 < len(told) < 12
    assert len(content(plan)) == len(told)
    lines = [line for line in capfd.readouterr().err.splitlines() if line.startswith("kdsearch:")]
    assert len(lines) == 1
    assert "No space left" in lines[0]
