"""Ray Train workers: the same loop as in process, cut off or not."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ray.exceptions import ActorUnavailableError
from ray.train import ControllerError
from ray.train.torch import TorchTrainer

from kdsearch.data import Dataset
from kdsearch.errors import TeacherError
from kdsearch.models import Network
from kdsearch.spec.sections import ResourcesSection
from kdsearch.training import ray_train
from kdsearch.training.ray_train import Group, SharedData
from kdsearch.training.task import Task
from kdsearch.training.teacher_training import train_on_workers
from kdsearch.training.trainer import Trainer
from kdsearch.training.worker_reports import lacking
from tests.conftest import SmallDisk
from tests.training.own_networks import MARKER
from tests.training.trainings import assert_same_weights, finish

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("private_ray")]


class Run:
    """One call of ``train_on_workers`` with what it gave back and told on the way."""

    def __init__(
        self,
        task: Task,
        data: Dataset,
        workers: int,
        storage: Path,
        on_report: Callable[[dict[str, float]], None] | None = None,
        resources: ResourcesSection | None = None,
    ) -> None:
        self.told: list[dict[str, float]] = []
        self.network: Network
        group = Group(workers, resources or ResourcesSection(), storage, "teacher")
        self.network, self.history = train_on_workers(
            task, SharedData.put(data), group, on_report or self.told.append
        )


def in_process(task: Task, data: Dataset) -> tuple[Trainer, list[dict[str, float]]]:
    trainer = Trainer(task, data)
    return trainer, [report.as_dict() for report in finish(trainer)]


def without_times(history: list[dict[str, float]]) -> list[dict[str, float]]:
    return [{name: v for name, v in report.items() if name != "seconds"} for report in history]


def kill(name: str) -> int:
    """Kill every process of this Ray's that has a name; how many there were."""
    found = [pid for pid in descendants(os.getpid()) if f"ray::{name}" in command_of(pid)]
    for pid in found:
        os.kill(pid, signal.SIGKILL)
    return len(found)


def descendants(pid: int) -> Iterator[int]:
    for file in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, file.read_text().split()):
            yield child
            yield from descendants(child)


def command_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:  # it has just ended
        return ""


def deaths() -> int:
    """How often a worker of ``always_killed`` has died."""
    file = Path(f"{os.environ[MARKER]}-always")
    return len(file.read_text()) if file.exists() else 0


def test_two_workers_share_each_batch(
    digits: Dataset, make_task: Callable[..., Task], tmp_path: Path
) -> None:
    task = make_task(model={"family": "mlp", "width": 0.5}, augment={"crop": 1}, lr=0.1)
    run = Run(task, digits, 2, tmp_path)
    trainer, history = in_process(task, digits)
    assert_same_weights(run.network, trainer.student, 1e-5)
    assert [report["epoch"] for report in run.told] == [1, 2]
    assert run.told == run.history
    for found, expected in zip(run.history, history, strict=True):
        assert found["loss"] == pytest.approx(expected["loss"], rel=1e-4)
        assert found["nll"] == pytest.approx(expected["nll"], rel=1e-4)


def test_a_diverging_training_is_a_teacher_error_in_one_line(
    digits: Dataset, make_task: Callable[..., Task], tmp_path: Path
) -> None:
    task = make_task(model={"family": "mlp"}, lr=1e30, epochs=3)
    with pytest.raises(TeacherError) as caught:
        Run(task, digits, 1, tmp_path)
    message = str(caught.value)
    assert "\n" not in message
    assert "the teacher's training failed: the loss became" in message
    assert message.endswith("lower the learning rate or the weights of the method")


def test_a_killed_worker_goes_on_as_if_never_killed_and_a_finished_run_is_not_repeated(
    digits: Dataset,
    make_task: Callable[..., Task],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ray_train, "REPORT_SECONDS", ray_train.REPORT_SECONDS)
    # four steps an epoch: the first process ends in the third of four epochs
    family: dict[str, Any] = {
        "family": "tests.training.own_networks:killed_once",
        "width": 10,
    }
    task = make_task(model=family, epochs=4, augment={"crop": 1, "mixup": 0.2})
    run = Run(task, digits, 1, tmp_path)
    # Ray Train takes the second epoch's report only after the first one's checkpoint is known
    assert 8 <= int(Path(os.environ[MARKER]).read_text()) <= 12
    trainer, history = in_process(task, digits)
    assert_same_weights(run.network, trainer.student, 0)
    assert without_times(run.history) == without_times(history)
    assert without_times(run.told) == without_times(history)

    again = Run(task, digits, 1, tmp_path)
    assert_same_weights(again.network, trainer.student, 0)
    assert again.history == run.history
    assert again.told == []


def test_a_worker_that_is_killed_too_often_is_a_teacher_error(
    digits: Dataset, make_task: Callable[..., Task], tmp_path: Path
) -> None:
    task = make_task(model={"family": "tests.training.own_networks:always_killed", "width": 3})
    before = deaths()
    with pytest.raises(TeacherError) as caught:
        Run(task, digits, 1, tmp_path, resources=ResourcesSection(max_restarts=1))
    assert str(caught.value).startswith("the teacher's training failed: ")
    assert "\n" not in str(caught.value)
    assert deaths() - before == 2


def test_a_full_disk_is_a_teacher_error_in_one_line(
    digits: Dataset, make_task: Callable[..., Task], small_disk: SmallDisk
) -> None:
    task = make_task(model={"family": "mlp", "width": 2}, epochs=3)
    with pytest.raises(TeacherError, match="No space left on device") as caught:
        Run(task, digits, 1, small_disk.folder, resources=ResourcesSection(max_restarts=0))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["TrainController", "_QueueActor"])
def test_a_lost_process_of_ray_train_costs_no_training(
    digits: Dataset, make_task: Callable[..., Task], tmp_path: Path, name: str
) -> None:
    """What steers the workers, or passes on what they tell, is killed after the first epoch."""
    task = make_task(model={"family": "convnet", "width": 0.5}, epochs=8, augment={"crop": 1})
    killed: list[int] = []

    def once(_: dict[str, float]) -> None:
        if not killed:
            killed.append(kill(name))

    run = Run(task, digits, 1, tmp_path, once)
    assert killed == [1]
    trainer, history = in_process(task, digits)
    assert_same_weights(run.network, trainer.student, 0)
    assert without_times(run.history) == without_times(history)


@pytest.mark.parametrize("lost", [1, 9])
def test_a_node_that_is_lost_while_workers_start_counts_as_one_restart(
    digits: Dataset,
    make_task: Callable[..., Task],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    lost: int,
) -> None:
    """Ray Train does not try again then: its placement group is gone with the node."""
    left = [lost]
    really = TorchTrainer.fit

    def loses(trainer: TorchTrainer) -> Any:
        if left[0]:
            left[0] -= 1
            raise ControllerError(ActorUnavailableError("its placement group was removed", None))
        return really(trainer)

    monkeypatch.setattr(TorchTrainer, "fit", loses)
    task = make_task(model={"family": "mlp", "width": 2}, epochs=1)
    resources = ResourcesSection(max_restarts=1)
    if lost == 1:
        run = Run(task, digits, 1, tmp_path, resources=resources)
        assert_same_weights(run.network, in_process(task, digits)[0].student, 0)
    else:
        with pytest.raises(TeacherError, match="its placement group was removed"):
            Run(task, digits, 1, tmp_path, resources=resources)
        assert left[0] == lost - 2


def test_what_a_cluster_lacks_is_told() -> None:
    """As after the loss of a node, when Ray Train waits for another without a word."""
    assert lacking({"CPU": 2, "GPU": 0}) is None
    told = lacking({"CPU": 3, "GPU": 0})
    assert told is not None
    assert "needs 3 CPU and the cluster has 2 left; waiting until nodes" in told
    assert "needs 1 GPU" in (lacking({"CPU": 2, "GPU": 1}) or "")
