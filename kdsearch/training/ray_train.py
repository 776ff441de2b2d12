"""Work on a group of Ray Train workers, one or many, on CPU or GPU."""

from __future__ import annotations

import math
import shutil
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import ray
import ray.train
import torch
from ray.exceptions import RayError
from ray.train import Checkpoint, CheckpointConfig, FailureConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchTrainer, get_device
from ray.util.queue import Queue

from kdsearch.data import Dataset, pack, unpack
from kdsearch.errors import CheckpointError, KdsearchError, RunError, described
from kdsearch.spec.sections import ResourcesSection
from kdsearch.training.checkpoints import load_state, save_state
from kdsearch.training.hardware import Hardware
from kdsearch.training.ranks import Ranks
from kdsearch.training.worker_reports import WorkerReports, fit, tell, worker_queue

REPORT_SECONDS = 10.0
"""Least time between two checkpoints: Ray Train handles about one report a second."""


@dataclass(frozen=True)
class SharedData:
    """A data set that is also in Ray's object store, once for all processes of a node.

    Attributes:
        dataset: The data set, its images those of the store.
        reference: To its packed form in the store.
    """

    dataset: Dataset
    reference: ray.ObjectRef

    @staticmethod
    def put(dataset: Dataset) -> SharedData:
        """Put a data set into the store of the Ray that this process is connected to."""
        reference = ray.put(pack(dataset))
        return SharedData(unpack(ray.get(reference)), reference)


class Worker:
    """One of a group of workers, as the work that it does sees it.

    Attributes:
        ranks: Its place among them.
        hardware: What it runs on.
    """

    def __init__(self, reports: Queue, resources: ResourcesSection) -> None:
        context = ray.train.get_context()
        self.ranks = Ranks(context.get_world_rank(), context.get_world_size())
        self.hardware = replace(Hardware.of(resources), device=get_device())
        self._reports = reports
        self._last_saved = time.monotonic()

    def tell(self, report: dict[str, Any]) -> None:
        """Tell the process that waits for the group."""
        tell(self._reports, report)

    def saved(self) -> dict[str, Any] | None:
        """The state that the group saved last, for a group that was cut off.

        A corrupt one counts for none: the work starts over.
        """
        checkpoint = ray.train.get_checkpoint()
        if checkpoint is None:
            return None
        with suppress(CheckpointError), checkpoint.as_directory() as folder:
            return load_state(Path(folder), self.hardware.device)
        return None

    def save(self, state: Callable[[], dict[str, Any]], last: bool) -> None:
        """Save the group's state now and then; every worker calls this equally often.

        Args:
            state: Makes the state; the first worker's is kept.
            last: Whether this is the end, which is always saved.
        """
        due = float(last or time.monotonic() - self._last_saved > REPORT_SECONDS)
        if not self.ranks.decide(torch.tensor(due, device=self.hardware.device)):
            return
        self._last_saved = time.monotonic()
        if not self.ranks.first:
            ray.train.report({})
            return
        with tempfile.TemporaryDirectory() as folder:
            save_state(state(), Path(folder))
            ray.train.report({}, checkpoint=Checkpoint.from_directory(folder))


@dataclass(frozen=True)
class Group:
    """Workers to be had.

    Attributes:
        count: How many.
        resources: Cores and GPUs of each.
        storage: Folder for checkpoints; shared by all nodes of a cluster.
        name: Name of the run below ``storage``; one that was cut off under it goes on.
    """

    count: int
    resources: ResourcesSection
    storage: Path
    name: str


def run_on_workers(
    work: Callable[[Worker, dict[str, Any]], None],
    given: dict[str, Any],
    data: SharedData,
    group: Group,
    on_report: Callable[[dict[str, Any]], None],
) -> dict[str, Any] | None:
    """Do some work on a group of Ray Train workers and give back the state saved last, if any.

    Workers that are lost, or the process of Ray Train that steers them, begin again at what was
    saved last, up to ``resources.max_restarts`` times each.

    Args:
        work: Called on every worker with ``given`` and, under ``data``, the data set.
        given: What the work needs beside the data; it is sent to every worker.
        data: The data set.
        group: The workers.
        on_report: Called in this process with what the workers tell, as it comes.

    Raises:
        RunError: A worker failed; the message is its reason.
    """
    for left in reversed(range(group.resources.max_restarts + 1)):
        try:
            return _run(work, given, data, group, on_report)
        except (RayError, CheckpointError) as error:
            if not left:
                raise RunError(described(error)) from error
            if isinstance(error, CheckpointError):
                shutil.rmtree(group.storage / group.name, ignore_errors=True)
    return None


def _run(
    work: Callable[[Worker, dict[str, Any]], None],
    given: dict[str, Any],
    data: SharedData,
    group: Group,
    on_report: Callable[[dict[str, Any]], None],
) -> dict[str, Any] | None:
    gpus = math.ceil(group.resources.gpus_per_trial)
    reports = worker_queue()
    trainer = TorchTrainer(
        _work,
        train_loop_config={
            "work": work,
            "given": given,
            "data": data.reference,
            # a worker has whole GPUs, where a trial has a share of one
            "resources": group.resources.model_copy(update={"gpus_per_trial": gpus}).model_dump(),
            "reports": reports,
        },
        scaling_config=_scaling(group.count, group.resources.cpus_per_trial, gpus),
        run_config=RunConfig(
            name=group.name,
            storage_path=str(group.storage.resolve()),
            failure_config=FailureConfig(max_failures=group.resources.max_restarts),
            checkpoint_config=CheckpointConfig(num_to_keep=1),
        ),
    )
    each = {"CPU": group.resources.cpus_per_trial, "GPU": gpus}
    needs = {kind: group.count * need for kind, need in each.items()}
    result = fit(trainer, WorkerReports(reports, on_report), needs)
    if result.checkpoint is None:
        return None
    with result.checkpoint.as_directory() as folder:
        return load_state(Path(folder))


def _scaling(workers: int, cpus: int, gpus: int) -> ScalingConfig:
    each = {"CPU": cpus} | ({"GPU": gpus} if gpus else {})
    return ScalingConfig(num_workers=workers, use_gpu=gpus > 0, resources_per_worker=each)


def _work(config: dict[str, Any]) -> None:
    """One worker's part; what kdsearch gives up is told: a retry would change nothing."""
    resources = ResourcesSection.model_validate(config["resources"])
    torch.set_num_threads(resources.cpus_per_trial)
    given = config["given"] | {"data": unpack(ray.get(config["data"]))}
    try:
        config["work"](Worker(config["reports"], resources), given)
    except KdsearchError as error:
        if not tell(config["reports"], {"failed": str(error)}):
            raise
