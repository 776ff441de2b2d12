"""What the workers of a group tell the process that waits for them, while they work."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from threading import Event, Thread
from typing import Any

import ray
from ray.exceptions import RayError
from ray.util.queue import Queue
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy


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
