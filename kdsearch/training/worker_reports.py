"""How a process waits for a group of workers, and what they tell it while they work."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from concurrent.futures import Future, wait
from contextlib import suppress
from threading import Event, Thread
from typing import Any

import ray
import ray.train
from ray.exceptions import RayError
from ray.train.torch import TorchTrainer
from ray.util.queue import Queue
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from kdsearch.errors import RunError, one_line

WAITING_SECONDS = 30.0
"""How often it is looked whether the cluster still has what a group needs."""


def worker_queue() -> Queue:
    """A queue on this process's node, which is lost with this process's node alone."""
    here = ray.get_runtime_context().get_node_id()
    strategy = NodeAffinitySchedulingStrategy(here, soft=False)
    return Queue(actor_options={"num_cpus": 0, "scheduling_strategy": strategy})


def tell(queue: Queue, report: dict[str, Any]) -> bool:
    """Put a report into a queue; whether that is still there."""
    try:
        queue.put(report)
    except RayError:
        return False
    return True


class WorkerReports:
    """Passes on, from a thread of this process, what the workers put into a queue.

    Args:
        queue: The workers' queue.
        on_report: Takes each report.

    Attributes:
        failure: Why the workers gave up, if they did.
    """

    def __init__(self, queue: Queue, on_report: Callable[[dict[str, Any]], None]) -> None:
        self._queue = queue
        self._on_report = on_report
        self._ended = Event()
        self.failure: str | None = None
        self._thread = Thread(target=self._pass_on, name="worker-reports", daemon=True)

    def __enter__(self) -> WorkerReports:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join(timeout=10)
        if ray.is_initialized():
            self._queue.shutdown()

    def _pass_on(self) -> None:
        with suppress(RayError):  # of a queue that is lost; the work goes on
            self._take_all()

    def _take_all(self) -> None:
        while not (self._ended.is_set() and self._queue.empty()):
            for report in self._queue.get_nowait_batch(self._queue.size()):
                self._take(report)
            self._ended.wait(0.2)

    def _take(self, report: dict[str, Any]) -> None:
        if "failed" in report:
            self.failure = report["failed"]
        else:
            self._on_report(report)


def lacking(needs: Mapping[str, float]) -> str | None:
    """What the cluster has too little of, in a sentence; ``None`` if it has enough in all."""
    have = ray.cluster_resources()
    for kind, need in needs.items():
        if need > (there := have.get(kind, 0)):
            return (
                f"a training on workers needs {need:g} {kind} and the cluster has {there:g} left; "
                "waiting until nodes with more join"
            )
    return None


def fit(trainer: TorchTrainer, reports: WorkerReports, needs: Mapping[str, float]) -> Any:
    """Run the trainer beside this thread, and say so if it waits for nodes that were lost.

    In the main thread Ray would take the interrupt for itself, never give it back, and leave as if
    all had gone well.

    Raises:
        RunError: A worker failed; the message is its reason.
        RayError: A process was lost while Ray Train started or steered the workers, so that its
            own retries did not cover it.
    """
    outcome: Future[Any] = Future()

    def work() -> None:
        try:
            outcome.set_result(trainer.fit())
        except BaseException as error:  # handed to the thread that waits
            outcome.set_exception(error)

    with reports:
        Thread(target=work, name="workers", daemon=True).start()
        try:
            told = False
            while not wait([outcome], timeout=WAITING_SECONDS).done:
                if not told and (why := lacking(needs)):
                    told = True
                    print(f"kdsearch: {why}", file=sys.stderr, flush=True)
            result = outcome.result()
        except ray.train.TrainingFailedError as error:
            steering = getattr(error, "controller_failure", None)
            if isinstance(steering, RayError) and reports.failure is None:
                raise steering from error
            raise RunError(reports.failure or _reason(error)) from error
    if reports.failure is not None:
        raise RunError(reports.failure)
    return result


def _reason(error: Exception) -> str:
    """What a worker has raised: the last line of its traceback."""
    failures = getattr(error, "worker_failures", {}) or {}
    for failure in failures.values():
        lines = str(failure).strip().splitlines()
        return one_line(lines[-1] if lines else failure)
    return one_line(error)
