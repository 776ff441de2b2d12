"""A teacher's training on Ray Train workers: the same loop, one worker or many."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kdsearch.errors import RunError, TeacherError
from kdsearch.models import Network, build_network
from kdsearch.training.ray_train import Group, SharedData, Worker, run_on_workers
from kdsearch.training.task import Task
from kdsearch.training.trainer import Trainer, shipped_weights

Report = dict[str, float]


def train_on_workers(
    task: Task, data: SharedData, group: Group, on_epoch: Callable[[Report], None]
) -> tuple[Network, list[Report]]:
    """Train a network and give it back with a report for each epoch.

    A run that was cut off under the same storage and name goes on from its last checkpoint.

    Args:
        task: What to train; without distillation terms.
        data: The data set.
        group: Data-parallel workers; they share each batch.
        on_epoch: Called in this process with each epoch's report, as it comes.

    Raises:
        TeacherError: A worker failed; the message holds its reason.
    """
    given = {"task": task.model_dump(mode="json")}
    try:
        state = run_on_workers(_train, given, data, group, _Once(on_epoch))
    except RunError as error:
        raise TeacherError(f"the teacher's training failed: {error}") from error
    assert state is not None, "the last epoch is always saved"
    dataset = data.dataset
    network = build_network(task.model, dataset.inputs, dataset.of_tasks(task.tasks).outputs)
    network.load_state_dict(shipped_weights(state["trainer"]))
    return network, state["history"]


class _Once:
    """Passes every epoch on once: a group that is started again repeats some."""

    def __init__(self, on_epoch: Callable[[Report], None]) -> None:
        self._on_epoch = on_epoch
        self._passed = 0.0

    def __call__(self, report: Report) -> None:
        if report["epoch"] > self._passed:
            self._passed = report["epoch"]
            self._on_epoch(report)


def _train(worker: Worker, given: dict[str, Any]) -> None:
    task = Task.model_validate(given["task"])
    trainer = Trainer(task, given["data"], hardware=worker.hardware, ranks=worker.ranks)
    history: list[Report] = []
    saved = worker.saved()
    if saved is not None:
        trainer.load_state_dict(saved["trainer"])
        history = saved["history"]
    while not trainer.finished:
        report = trainer.train_epoch().as_dict()
        history.append(report)
        if worker.ranks.first:
            worker.tell(report)
        worker.save(lambda: {"trainer": trainer.state_dict(), "history": history}, trainer.finished)
