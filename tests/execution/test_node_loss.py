"""Nodes of a real cluster of three that are lost, or on which no actor can be made ready."""

from __future__ import annotations

import functools
import io
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import ray
from ray.cluster_utils import Cluster
from ray.util.queue import Queue

from kdsearch.data import Dataset
from kdsearch.execution.observers import Observer
from kdsearch.results.record import TrialRecord
from kdsearch.spec import StudySpec
from kdsearch.spec.sections import ResourcesSection
from kdsearch.training import worker_reports
from kdsearch.training.ray_train import Group, SharedData
from kdsearch.training.task import Task
from kdsearch.training.teacher_training import train_on_workers
from kdsearch.training.trainer import Trainer
from tests.execution.scripted import EPOCHS, GO, Trainings
from tests.execution.test_tune_run import AT_ONCE, ROOT, Phase, statuses
from tests.training.trainings import assert_same_weights, finish

pytestmark = pytest.mark.slow


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    """A head without cores for trials, and two nodes with one each."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT), prepend=os.pathsep)
    # workers that are forked for the tests are no children of their raylets
    monkeypatch.delenv("KDSEARCH_TESTS_FORK", raising=False)
    monkeypatch.setenv("RAY_AIR_NEW_OUTPUT", "0")
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    ray.init(address=made.address, log_to_driver=False, logging_level="error")
    yield made
    ray.shutdown()
    made.shutdown()


class RemovesNode(Observer):
    """Kills the raylet of the node that holds a training, whichever of the nodes that is."""

    def __init__(self, cluster: Cluster, nodes: list[Any]) -> None:
        self._cluster, self._nodes = cluster, nodes
        self._thread: threading.Thread | None = None
        self.lost: list[int] = []

    def trial_epoch(self, record: TrialRecord) -> None:
        if self._thread is None and record.number >= 1:
            raylet = _parent(int(record.epochs[-1]["process"]))
            (node,) = (each for each in self._nodes if _raylet(each) == raylet)
            remove = {"allow_graceful": False}
            self._thread = threading.Thread(
                target=self._cluster.remove_node, args=(node,), kwargs=remove
            )
            self._thread.start()
            self._thread.join()

    def trial_lost(self, record: TrialRecord, reason: str) -> None:
        self.lost.append(record.number)


def _raylet(node: Any) -> int:
    """The process of a node's raylet, of which its workers are children."""
    return int(node.all_processes["raylet"][0].process.pid)


def _parent(process: int) -> int:
    """The process that started one: field 4 of stat (proc(5))."""
    return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])


def _lose_power(cluster: Cluster, node: Any) -> None:
    """End a node and, at once, its workers, which outlive their raylet by a while."""
    raylet = _raylet(node)
    processes = [int(each.name) for each in Path("/proc").iterdir() if each.name.isdigit()]
    workers = []
    for process in processes:
        with suppress(OSError):  # one that has ended since
            if _parent(process) == raylet:
                workers.append(process)
    cluster.remove_node(node, allow_graceful=False)
    for worker in workers:
        with suppress(ProcessLookupError):
            os.kill(worker, signal.SIGKILL)


def test_a_node_that_is_lost_costs_no_trial(
    cluster: Cluster, spec: StudySpec, tmp_path: Path
) -> None:
    nodes = [cluster.add_node(num_cpus=2) for _ in range(2)]
    cluster.wait_for_nodes()
    observer = RemovesNode(cluster, nodes)
    script = {f"{number}/{epoch}": "slow" for number in range(4) for epoch in (2, 3)}
    records = Phase(spec, tmp_path).run(
        Trainings(6, rungs=(1,)), script, observer, concurrent=4, checkpoint_minutes=AT_ONCE
    )
    assert observer.lost
    assert statuses(records) == dict.fromkeys(range(6), "complete")
    assert all(
        [epoch["epoch"] for epoch in record.epochs] == list(range(1, EPOCHS + 1))
        for record in records.values()
    )


class Told(io.StringIO):
    """What is written to stderr; what is to be done once some words are among it."""

    def __init__(self, words: str, action: Callable[[], object]) -> None:
        super().__init__()
        self._words, self._action = words, action
        self.done = False

    def write(self, text: str) -> int:
        written = super().write(text)
        if not self.done and self._words in self.getvalue():
            self.done = True
            self._action()
        return written


def test_a_node_that_is_lost_from_a_teachers_training_is_told_and_waited_for(
    cluster: Cluster,
    digits: Dataset,
    make_task: Callable[..., Task],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One of two nodes with a worker each; another joins once it is missed.

    The queue has room for one report, so the workers cannot end before the node is lost.
    """
    monkeypatch.setattr(worker_reports, "WAITING_SECONDS", 1.0)
    monkeypatch.setattr(worker_reports, "Queue", functools.partial(Queue, maxsize=1))
    nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]
    cluster.wait_for_nodes()
    waiting = "a training on workers needs 2 CPU and the cluster has 1 left; waiting until nodes"
    told = Told(waiting, lambda: cluster.add_node(num_cpus=1))
    monkeypatch.setattr(sys, "stderr", told)
    reports: list[dict[str, float]] = []

    def lose(report: dict[str, float]) -> None:
        reports.append(report)
        if len(reports) == 1:
            _lose_power(cluster, nodes[0])

    task = make_task(model={"family": "mlp", "width": 0.5}, epochs=6, lr=0.1)
    group = Group(2, ResourcesSection(), tmp_path, "teacher")
    network, history = train_on_workers(task, SharedData.put(digits), group, lose)
    assert told.done
    assert [report["epoch"] for report in reports] == [1, 2, 3, 4, 5, 6]
    trainer = Trainer(task, digits)
    expected = [report.as_dict()["accuracy"] for report in finish(trainer)]
    assert_same_weights(network, trainer.student, 1e-5)
    assert [report["accuracy"] for report in history] == pytest.approx(expected)


def test_a_node_on_which_every_set_up_fails_gets_no_more_work(
    cluster: Cluster, spec: StudySpec, tmp_path: Path
) -> None:
    """The other node does all trials; the first is tried three times and not again."""
    _, unsound = (cluster.add_node(num_cpus=1) for _ in range(2))
    cluster.wait_for_nodes()
    told: list[str] = []
    phase = Phase(spec, tmp_path)

    class Listens(Observer):
        def trial_lost(self, record: TrialRecord, reason: str) -> None:
            told.append(reason)
            if len(told) == 3:
                (phase.notes / GO).touch()

    # the sound node begins once three set-ups have failed, and leaves time for many more
    script = {f"{number}/1": "slow" for number in range(1, 10)}
    script |= {f"{number}/2": "wait" for number in range(10)}
    records = phase.run(Trainings(10), script, Listens(), broken=unsound.node_id)
    assert statuses(records) == dict.fromkeys(range(10), "complete")
    assert len(told) == 3
    assert all("the driver of the device is too old" in reason for reason in told)
