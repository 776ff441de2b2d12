"""Several real processes at one cache: at once, killed on the way, and sharing its memory."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from kdsearch.data import Dataset
from kdsearch.models import Signal
from kdsearch.teacher_cache.building import CacheBuilder
from kdsearch.teacher_cache.cache_plan import CachePlan
from kdsearch.teacher_cache.parts import missing
from kdsearch.training.teacher import Teacher
from tests.teacher_cache.helpers import (
    CPU,
    SHOWN,
    Counting,
    batch_of,
    build,
    cached,
    plan_of,
    sums_of,
    tensors_of,
    write_order,
)

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
MakeTeacher = Callable[[], Teacher]


class Other:
    """Another process at the cache of an order."""

    def __init__(self, order: Path, action: str, name: str) -> None:
        self.log = order.with_name(f"{name}.log")
        command = [sys.executable, "-m", "tests.teacher_cache.other_process"]
        self._process = subprocess.Popen(
            [*command, str(order), str(self.log), action],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    def wait_until_ready(self) -> None:
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"

    def go_on(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()

    def told(self) -> list[object]:
        assert self._process.stdout is not None
        found: list[object] = json.loads(self._process.stdout.readline())
        return found

    def asked(self) -> Counter[str]:
        """How often it asked the teacher about each view."""
        return Counter(self.log.read_text().splitlines()) if self.log.exists() else Counter()

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[CachePlan, Teacher, str], Other]]:
    others: list[Other] = []

    def begin(plan: CachePlan, teacher: Teacher, action: str) -> Other:
        order = tmp_path / "order.pickle"
        write_order(order, plan, teacher)
        others.append(Other(order, action, f"{action}-{len(others)}"))
        return others[-1]

    yield begin
    for other in others:
        other.kill()


Start = Callable[[CachePlan, Teacher, str], Other]


def sums(plan: CachePlan, teacher: Teacher, data: Dataset) -> list[float]:
    """The sum of every tensor of the live teacher's answers."""
    found = []
    for epoch in range(plan.epochs):
        batch = batch_of(plan, data, torch.arange(240), epoch)
        found += sums_of(teacher.observe(batch, set(SHOWN)))
    return found


def every_view(plan: CachePlan) -> dict[str, int]:
    return {f"{epoch} {place}": 1 for epoch in range(plan.epochs) for place in range(240)}


def test_two_processes_share_the_building_and_build_nothing_twice(
    digits: Dataset, make_teacher: MakeTeacher, tmp_path: Path, start: Start
) -> None:
    teacher = make_teacher()
    plan = plan_of(teacher, digits, tmp_path / "cache", epochs=4, part=30)
    two = [start(plan, teacher, "read") for _ in range(2)]
    for other in two:
        other.wait_until_ready()
    for other in two:
        other.go_on()
    expected = sums(plan, teacher, digits)
    for other in two:
        assert other.told() == pytest.approx(expected, rel=1e-6)
    shares = [other.asked() for other in two]
    assert shares[0] + shares[1] == every_view(plan)
    assert all(shares)


@pytest.mark.parametrize("action", ["stuck", "half"])
def test_what_a_killed_process_leaves_is_not_used_and_holds_nobody_up(
    digits: Dataset, make_teacher: MakeTeacher, tmp_path: Path, start: Start, action: str
) -> None:
    teacher = make_teacher()
    plan = plan_of(teacher, digits, tmp_path / "cache", {Signal.LOGITS}, part=120)
    other = start(plan, teacher, action)
    other.wait_until_ready()  # in the first or the second of two parts
    there = [missing(plan, 0, part) for part in plan.parts]
    assert there[-1] == {Signal.LOGITS}
    builder = CacheBuilder(plan, counting := Counting(teacher), digits, CPU)
    ahead = builder.build([(0, part) for part in plan.parts] + [(1, 0)])
    # what the other is about is left to it while there is anything else to do
    first = next(ahead)
    assert first != (0, 0 if action == "half" else 1)
    other.kill()
    assert set(ahead) | {first} == {(0, 0), (0, 1), (1, 0)}
    assert max(counting.asked.values()) == 1

    reader = cached(plan, counting, digits)
    for epoch in range(2):
        batch = batch_of(plan, digits, torch.arange(240), epoch)
        assert torch.equal(
            tensors_of(reader.observe(batch, {Signal.LOGITS}), {Signal.LOGITS})[0],
            tensors_of(teacher.observe(batch, {Signal.LOGITS}), {Signal.LOGITS})[0],
        )
    assert list(plan.place.glob(".*.partial")) == []


def test_one_of_two_is_killed_and_the_other_ends_with_everything(
    digits: Dataset, make_teacher: MakeTeacher, tmp_path: Path, start: Start
) -> None:
    teacher = make_teacher()
    plan = plan_of(teacher, digits, tmp_path / "cache", epochs=3, part=60)
    stuck, other = start(plan, teacher, "stuck"), start(plan, teacher, "read")
    stuck.wait_until_ready()  # it holds the second part of the first epoch
    other.wait_until_ready()
    other.go_on()
    held = {f"0 {place}" for place in plan.rows(1)}
    while len(other.asked()) < 3 * 240 - 60 - 60:
        time.sleep(0.02)  # it builds all that is not held, in every epoch
    assert not held & set(other.asked())
    stuck.kill()
    assert other.told() == pytest.approx(sums(plan, teacher, digits), rel=1e-6)
    assert other.asked() + stuck.asked() == every_view(plan)


def mapped(pid: int, file: Path) -> Counter[str]:
    """Kilobytes of a file in a process's memory, by kind (``/proc/PID/smaps``)."""
    kinds: Counter[str] = Counter()
    inside = False
    for line in Path(f"/proc/{pid}/smaps").read_text().splitlines():
        name, *values = line.split()
        if not name.endswith(":"):
            inside = line.endswith(str(file))
        elif inside and values[-1] == "kB":
            kinds[name.rstrip(":")] += int(values[0])
    return kinds


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="needs Linux's /proc")
def test_processes_share_the_memory_of_a_part_and_keep_it_when_it_is_removed(
    digits: Dataset, make_teacher: MakeTeacher, tmp_path: Path, start: Start
) -> None:
    teacher = make_teacher()
    plan = plan_of(teacher, digits, tmp_path / "cache", epochs=1)
    build(plan, teacher, digits)
    file = plan.file(Signal.FEATURES, 0, 0)
    size = file.stat().st_size // 1024
    two = [start(plan, teacher, "map") for _ in range(2)]
    for other in two:
        other.wait_until_ready()
    for other in two:
        kinds = mapped(other.pid, file)
        assert kinds["Rss"] >= size
        assert kinds["Anonymous"] == 0
        assert kinds["Private_Clean"] + kinds["Private_Dirty"] < 0.05 * size
        assert kinds["Shared_Clean"] + kinds["Shared_Dirty"] >= 0.95 * size
    shutil.rmtree(plan.place)
    for other in two:
        other.go_on()
        before, after = other.told()
        assert before == after
