"""Training on Ray Train workers: the same loop, one worker or many, on CPU or GPU."""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from threading import Event, Thread
from typing import Any

import ray
import ray.train
import torch
from ray.train import Checkpoint, CheckpointConfig, FailureConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchTrainer, get_device
from ray.util.queue import Queue

from kdsearch.data import Dataset, pack, unpack
from kdsearch.errors import KdsearchError, TeacherError, one_line
from kdsearch.models import Network, build_network
from kdsearch.spec.sections import ResourcesSection
from kdsearch.training.ranks import Ranks
from kdsearch.training.task import Task
from kdsearch.training.trainer import Trainer

REPORT_SECONDS = 10.0
"""Least time between two checkpoints: Ray Train handles about one report a second."""


def train_on_workers(
    task: Task,
    data: Dataset,
    workers: int,
    resources: ResourcesSection,
    storage: Path,
    name: str,
    on_epoch: Callable[[dict[str, float]], None],
) -> tuple[Network, list[dict[str, float]]]:
    """Train through ``TorchTrainer`` and give back the network and a report for each epoch.

    A run that was cut off under the same ``storage`` and ``name`` goes on from its last checkpoint.

    Args:
        task: What to train; without distillation terms.
        data: The data set.
        workers: Data-parallel workers; they share each batch.
        resources: Cores and GPUs of a worker.
        storage: Folder for checkpoints; shared by all nodes of a cluster.
        name: Name of the run below ``storage``.
        on_epoch: Called in this process with each epoch's report, as it comes.

    Raises:
        TeacherError: A worker failed; the message holds its reason.
    """
    reports = Queue()
    trainer = TorchTrainer(
        _work,
        train_loop_config={
            "task": task.model_dump(mode="json"),
            "data": ray.put(pack(data)),
            "threads": resources.cpus_per_trial,
            "reports": reports,
        },
        scaling_config=_scaling(workers, resources),
        run_config=RunConfig(
            name=name,
            storage_path=str(storage.resolve()),
            failure_config=FailureConfig(max_failures=1),
            checkpoint_config=CheckpointConfig(num_to_keep=1),
        ),
    )
    result = _fit(trainer, _Reports(reports, on_epoch))
    network = build_network(task.model, data.image_shape, len(data.classes))
    with result.checkpoint.as_directory() as folder:
        state = torch.load(Path(folder) / "state.pt", map_location="cpu", weights_only=True)
    prefix = "student."
    network.load_state_dict(
        {
            key.removeprefix(prefix): value
            for key, value in state["trainer"]["distiller"].items()
            if key.startswith(prefix)
        }
    )
    return network, state["history"]


def _scaling(workers: int, resources: ResourcesSection) -> ScalingConfig:
    gpus = math.ceil(resources.gpus_per_trial)
    each = {"CPU": resources.cpus_per_trial} | ({"GPU": gpus} if gpus else {})
    return ScalingConfig(num_workers=workers, use_gpu=gpus > 0, resources_per_worker=each)


class _Reports:
    """Passes on, from a thread of this process, what the workers put into a queue.

    Args:
        queue: The workers' queue.
        on_epoch: Takes each epoch's report, once.

    Attributes:
        failure: Why the workers gave up, if they did.
    """

    def __init__(self, queue: Queue, on_epoch: Callable[[dict[str, float]], None]) -> None:
        self._queue = queue
        self._on_epoch = on_epoch
        self._ended = Event()
        self._passed = 0.0
        self.failure: str | None = None
        self._thread = Thread(target=self._pass_on, name="teacher-reports", daemon=True)

    def __enter__(self) -> _Reports:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join(timeout=10)
        if ray.is_initialized():
            self._queue.shutdown()

    def _pass_on(self) -> None:
        while not (self._ended.is_set() and self._queue.empty()):
            for report in self._queue.get_nowait_batch(self._queue.size()):
                self._take(report)
            self._ended.wait(0.2)

    def _take(self, report: dict[str, Any]) -> None:
        if "failed" in report:
            self.failure = report["failed"]
        elif report["epoch"] > self._passed:  # a worker started again repeats some epochs
            self._passed = report["epoch"]
            self._on_epoch(report)


def _fit(trainer: TorchTrainer, reports: _Reports) -> Any:
    """Run the trainer beside this thread.

    In the main thread Ray would take the interrupt for itself, never give it back, and leave as if
    all had gone well.
    """
    outcome: Future[Any] = Future()

    def fit() -> None:
        try:
            outcome.set_result(trainer.fit())
        except BaseException as error:  # handed to the thread that waits
            outcome.set_exception(error)

    with reports:
        Thread(target=fit, name="teacher", daemon=True).start()
        try:
            result = outcome.result()
        except ray.train.TrainingFailedError as error:
            raise TeacherError(f"the teacher's training failed: {_reason(error)}") from error
    if reports.failure is not None:
        raise TeacherError(f"the teacher's training failed: {reports.failure}")
    return result


def _reason(error: Exception) -> str:
    failures = getattr(error, "worker_failures", {}) or {}
    for failure in failures.values():
        return one_line(getattr(failure, "_base_exc", failure))
    return one_line(error)


def _work(config: dict[str, Any]) -> None:
    """One worker's training; what kdsearch gives up is told: a retry would change nothing."""
    try:
        _train(config)
    except KdsearchError as error:
        config["reports"].put({"failed": str(error)})


def _train(config: dict[str, Any]) -> None:
    torch.set_num_threads(config["threads"])
    context = ray.train.get_context()
    ranks = Ranks(context.get_world_rank(), context.get_world_size())
    task = Task.model_validate(config["task"])
    data = unpack(ray.get(config["data"]))
    trainer = Trainer(task, data, device=get_device(), ranks=ranks)
    history = _resume(trainer)
    last = time.monotonic()
    while not trainer.finished:
        report = trainer.train_epoch().as_dict()
        history.append(report)
        if ranks.first:
            config["reports"].put(report)
        due = torch.tensor(
            float(trainer.finished or time.monotonic() - last > REPORT_SECONDS),
            device=trainer.device,
        )
        if ranks.decide(due):
            last = time.monotonic()
            _report(trainer, history, report)


def _resume(trainer: Trainer) -> list[dict[str, float]]:
    checkpoint = ray.train.get_checkpoint()
    if checkpoint is None:
        return []
    with checkpoint.as_directory() as folder:
        state = torch.load(
            Path(folder) / "state.pt", map_location=trainer.device, weights_only=True
        )
    trainer.load_state_dict(state["trainer"])
    return state["history"]


def _report(trainer: Trainer, history: list[dict[str, float]], report: dict[str, float]) -> None:
    if not trainer.ranks.first:
        ray.train.report(report)
        return
    with tempfile.TemporaryDirectory() as folder:
        state = {"trainer": trainer.state_dict(), "history": history}
        torch.save(state, Path(folder) / "state.pt")
        ray.train.report(report, checkpoint=Checkpoint.from_directory(folder))
