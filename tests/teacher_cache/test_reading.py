"""The teacher's answers on nodes that share the study's folder, and on those that do not."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import ray
import torch
from ray.cluster_utils import Cluster
from torch import Tensor

from kdsearch.data import Batch, Dataset, pack
from kdsearch.errors import TeacherError
from kdsearch.execution.failures import shared_token
from kdsearch.execution.trainable import StudentTrial
from kdsearch.models import Signal, Signals, build_network
from kdsearch.search.estimate import sample_trials
from kdsearch.space.checks import Plan, make_plan
from kdsearch.spec import parse_spec
from kdsearch.teacher_cache import reading
from kdsearch.teacher_cache.building import CacheBuilder
from kdsearch.teacher_cache.choosing import plan_caches, prepare_caches
from kdsearch.teacher_cache.contents import Caches
from kdsearch.teacher_cache.driver_node import DriverNode
from kdsearch.teacher_cache.reading import TeacherSignals
from kdsearch.training.by_task import ByTask
from kdsearch.training.packing import pack_teacher, unpack_teacher
from kdsearch.training.teacher import Reference, Teacher
from tests.conftest import TEXT
from tests.teacher_cache.helpers import batch_of as plan_batch

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
CPU = torch.device("cpu")
LOGITS = frozenset({Signal.LOGITS})
FAR = "far"
"""A resource of the node that lacks the study's folder."""


class Counting(Teacher):
    """A teacher that counts the views that it is asked about."""

    asked = 0

    def observe(self, batch: Batch, wanted: Collection[Signal]) -> Signals:
        self.asked += len(batch)
        return super().observe(batch, wanted)


def counting(packed: dict[str, Any], device: torch.device) -> Counting:
    return Counting(unpack_teacher(packed, device).network)


class Node:
    """A process of a trial on the other node."""

    def __init__(self, shared: dict[str, Any], data: Dataset) -> None:
        reading.unpack_teacher = counting  # type: ignore[assignment]
        self._shared, self._data = shared, data
        self._answers = TeacherSignals(shared, data, CPU)

    def node(self) -> str:
        return ray.get_runtime_context().get_node_id()

    def logits(self, epoch: int) -> tuple[Tensor, int]:
        """The logits of all training views, and how many views the teacher was asked about."""
        teacher: Any = self._answers.teachers["teacher"]
        live: Any = teacher._builder.teacher
        before = live.asked
        found = teacher.observe(batch_of(self._shared["caches"], self._data, epoch), LOGITS).logits
        return found, live.asked - before

    def reference(self) -> Tensor:
        return self._answers.reference.logits("validation")


def batch_of(caches: Caches, data: Dataset, epoch: int) -> Batch:
    index = torch.arange(len(data.train))
    return plan_batch(caches.teachers["teacher"].plan, data, index, epoch)


class Study:
    """A study with its teacher, whose folder at ``place`` none but its own process knows."""

    def __init__(self, place: Path, *overrides: str) -> None:
        words = ["methods=[kd]", "data.augment={crop: 1}", "training.epochs=3", *overrides]
        text = TEXT.format(directory=place)
        self.plan: Plan = make_plan(parse_spec(text, words))
        self.data = self.plan.data
        torch.manual_seed(1)
        model = self.plan.spec.teacher.model
        self.teacher = Teacher(build_network(model, self.data.inputs, 10))
        self.caches = plan_caches(self.plan, {"teacher": self.teacher})
        self.packed = {"teacher": pack_teacher(model, self.teacher)}
        prepare_caches(self.caches)

    def build(self, *epochs: int) -> None:
        """Build some epochs, and the reference, in the study's folder."""
        for plan, wanted in (
            (self.caches.teachers["teacher"].plan, epochs),
            *((plan, (0,)) for plan in self.caches.of_reference),
        ):
            for epoch in wanted:
                CacheBuilder(plan, self.teacher, self.data, CPU).build_epoch(epoch)

    def shared(self, caches: Caches | None = None) -> dict[str, Any]:
        return {
            "teachers": self.packed,
            "caches": caches or self.caches,
            "driver_node": DriverNode.here(self.caches.folder),
            "by_task": ByTask(),
        }

    def expected(self, epoch: int) -> Tensor:
        found = self.teacher.observe(batch_of(self.caches, self.data, epoch), LOGITS).logits
        assert found is not None
        return found


@pytest.fixture(scope="module", autouse=True)
def _two_nodes() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(ROOT), prepend=os.pathsep)
        cluster = Cluster(
            initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False}
        )
        try:
            cluster.add_node(num_cpus=1, resources={FAR: 100})
            ray.init(cluster.address, log_to_driver=False, logging_level="error")
            yield
        finally:
            ray.shutdown()
            cluster.shutdown()


@pytest.fixture
def on_node(tmp_path: Path) -> Callable[..., Any]:
    """``on_node(study)``: a process on the other node, whose own disk is ``tmp_path / "disk"``."""
    disk = tmp_path / "disk"
    disk.mkdir()

    def begin(study: Study) -> Any:
        elsewhere = study.caches.in_folder(tmp_path / "only" / "on" / "the" / "first" / "node")
        options = {"resources": {FAR: 1}, "num_cpus": 0}
        environment = {"env_vars": {"TMPDIR": str(disk)}}
        actor = ray.remote(Node).options(**options, runtime_env=environment)
        return actor.remote(study.shared(elsewhere), study.data)

    return begin


def own_folder(tmp_path: Path) -> Path:
    (folder,) = (tmp_path / "disk").glob("kdsearch-cache-*")
    return folder


def test_a_node_without_the_folder_fetches_what_is_there_and_builds_the_rest(
    tmp_path: Path, on_node: Callable[..., Any]
) -> None:
    study = Study(tmp_path / "first")
    study.build(0)
    node = on_node(study)
    assert ray.get(node.node.remote()) != ray.get_runtime_context().get_node_id()
    plan = study.caches.teachers["teacher"].plan
    here = replace(plan, folder=own_folder(tmp_path))

    fetched, asked = ray.get(node.logits.remote(0))
    assert asked <= 4  # a few beside the cache, to compare
    assert torch.equal(fetched, study.expected(0))
    source = plan.file(Signal.LOGITS, 0, 0)
    assert here.file(Signal.LOGITS, 0, 0).read_bytes() == source.read_bytes()

    built, asked = ray.get(node.logits.remote(1))
    assert len(study.data.train) <= asked <= len(study.data.train) + 4
    torch.testing.assert_close(built, study.expected(1))
    assert here.file(Signal.LOGITS, 1, 0).is_file()
    assert not plan.file(Signal.LOGITS, 1, 0).exists()

    reference = ray.get(node.reference.remote())
    expected = Reference(study.teacher, study.data).logits("validation")
    torch.testing.assert_close(reference, expected)


def test_a_second_process_of_the_node_finds_what_the_first_has(
    tmp_path: Path, on_node: Callable[..., Any]
) -> None:
    study = Study(tmp_path / "first")
    first = on_node(study)
    _, asked = ray.get(first.logits.remote(0))
    assert asked >= len(study.data.train)
    study.build(2)  # what the study's node gets later is found as well
    second = on_node(study)
    for epoch in (0, 2):
        found, asked = ray.get(second.logits.remote(epoch))
        assert asked <= 4
        torch.testing.assert_close(found, study.expected(epoch))


def test_what_was_damaged_before_it_was_fetched_is_built(
    tmp_path: Path, on_node: Callable[..., Any]
) -> None:
    study = Study(tmp_path / "first")
    study.build(0)
    file = study.caches.teachers["teacher"].plan.file(Signal.LOGITS, 0, 0)
    content = bytearray(file.read_bytes())
    content[-1] ^= 255
    file.write_bytes(bytes(content))
    found, asked = ray.get(on_node(study).logits.remote(0))
    assert asked >= len(study.data.train)
    torch.testing.assert_close(found, study.expected(0))


def test_the_node_makes_room_on_its_disk_as_the_study_does(
    tmp_path: Path, on_node: Callable[..., Any]
) -> None:
    study = Study(tmp_path / "first")
    budget = (study.caches.bytes + 5_000) / 1e9
    study = Study(tmp_path / "first", f"cache.disk_gb={budget}")
    own = tmp_path / "disk" / f"kdsearch-cache-{os.getuid()}"
    for place, key in enumerate(("a" * 16, "b" * 16)):
        (own / key).mkdir(parents=True)
        (own / key / "file").write_bytes(b"x" * 4_000)
        used = own / key / "used"
        used.touch()
        os.utime(used, (used.stat().st_mtime - 100 + place,) * 2)
    ray.get(on_node(study).node.remote())
    left = {path.name for path in own.iterdir()}
    assert left == {"b" * 16} | {plan.key for plan in study.caches.plans}


def test_without_a_cache_a_node_keeps_nothing(tmp_path: Path, on_node: Callable[..., Any]) -> None:
    study = Study(tmp_path / "first", "cache.disk_gb=0")
    taught = TeacherSignals(study.shared(), study.data, CPU)
    assert type(taught.teachers["teacher"]) is Teacher
    expected = Reference(study.teacher, study.data).logits("test")
    assert torch.equal(taught.reference.logits("test"), expected)
    ray.get(on_node(study).node.remote())
    assert list((tmp_path / "disk").iterdir()) == []


def test_a_process_beside_the_study_reads_the_folder_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "unpack_teacher", counting)
    monkeypatch.setattr(reading, "_own_folder", lambda: tmp_path / "never")
    study = Study(tmp_path / "first")
    study.build(0)
    monkeypatch.setattr(DriverNode, "read", None)  # it asks nobody
    node = Node(study.shared(), study.data)
    found, asked = node.logits(0)
    assert asked <= 4
    assert torch.equal(found, study.expected(0))
    assert not (tmp_path / "never").exists()
    _, asked = node.logits(1)  # which is not there
    assert asked >= len(study.data.train)


def test_a_reference_of_another_network_is_found_out(tmp_path: Path) -> None:
    """As after a change of the code that computes a network, which its weights do not show."""
    study = Study(tmp_path / "first")
    study.build()
    with torch.no_grad():
        for value in study.teacher.network.parameters():
            value.mul_(1.5)
    study.packed = {"teacher": pack_teacher(study.plan.spec.teacher.model, study.teacher)}
    taught = TeacherSignals(study.shared(), study.data, CPU)
    with pytest.raises(TeacherError, match="does not compute the signals that are cached"):
        taught.reference.logits("validation")


def test_a_trial_whose_answers_cannot_be_stored_fails_with_the_reason(tmp_path: Path) -> None:
    """Where the first views, which are looked at before the search, did not show it."""
    study = Study(tmp_path / "first", "cache.dtype=float16")
    head = study.teacher.network.head
    assert head is not None
    head.bias.data += 1e5
    study.packed = {"teacher": pack_teacher(study.plan.spec.teacher.model, study.teacher)}
    shared = study.shared() | {
        "data": ray.put(pack(study.data)),
        "resources": study.plan.spec.resources.model_dump(),
        "measured": (),
        "int8": False,
        "folder": str(tmp_path),
        "token": shared_token(tmp_path),
        "storage": str(tmp_path),
        "core": None,
    }
    records = sample_trials(study.plan, 4)
    task = next(record.task for record in records if record.task.teacher == "teacher")
    trial = object.__new__(StudentTrial)
    config = {"task": task.model_dump(mode="json"), "rungs": []}
    trial.setup(config | {"crash_log": str(tmp_path / "crash.log")}, shared)
    result = trial.step()
    trial.cleanup()
    assert result["done"]
    assert "beyond what float16 holds; set cache.dtype to float32" in result["failed"]
