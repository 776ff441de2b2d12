"""Wall clock and CPU time of the driver by trial, and by part of its work."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import wraps
from typing import Any
from unittest.mock import patch

import optuna

from kdsearch.execution.observers import Observer
from kdsearch.results.record import Journal, TrialRecord
from kdsearch.search.loop import ProposedJobs
from kdsearch.space.architectures import Architectures
from kdsearch.space.compatibility import Pairs
from kdsearch.space.space import Space

START = 6
"""Trials that count as start: the first of each actor, and those that ended while the slower of the
two was starting."""


class Costs:
    """CPU time of parts of the driver's main thread, each without the parts inside it."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._inner: list[float] = []

    def counted(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, with what it takes counted to a part."""

        @wraps(function)
        def call(*arguments: Any, **named: Any) -> Any:
            start = time.thread_time()
            self._inner.append(0.0)
            try:
                return function(*arguments, **named)
            finally:
                spent = time.thread_time() - start
                own = spent - self._inner.pop()
                self.seconds[part] = self.seconds.get(part, 0.0) + own
                if self._inner:
                    self._inner[-1] += spent

        return call

    @contextmanager
    def watch(self) -> Iterator[None]:
        """Count the parts of a proposal, and the journal."""
        with ExitStack() as stack:
            for owner, name, part in (
                (ProposedJobs, "next", "proposal: other"),
                (optuna.Study, "ask", "proposal: Optuna"),
                (optuna.Study, "tell", "proposal: Optuna"),
                (Space, "suggest", "proposal: Optuna"),
                (Architectures, "size", "proposal: size of the student"),
                (Pairs, "reason", "proposal: fitting check"),
                (Journal, "append", "journal"),
            ):
                inner = self.counted(part, getattr(owner, name))
                stack.enter_context(patch.object(owner, name, inner))
            yield


@dataclass
class Clocks:
    """What had been spent when a trial ended, all in seconds.

    Attributes:
        wall: Wall clock.
        process: CPU time of all threads of the driver.
        main: CPU time of the driver's main thread.
        recorder: CPU time of the thread that writes to MLflow; 0 where there is none yet.
        parts: CPU time of parts of the main thread.
    """

    wall: float
    process: float
    main: float
    recorder: float
    parts: dict[str, float] = field(default_factory=dict)

    @classmethod
    def now(cls, costs: Costs) -> Clocks:
        """Read all clocks, in the main thread."""
        recorders = [t for t in threading.enumerate() if t.name == "mlflow-recorder" and t.ident]
        recorder = sum(
            time.clock_gettime(time.pthread_getcpuclockid(thread.ident or 0))
            for thread in recorders
        )
        wall, process = time.perf_counter(), time.process_time()
        return cls(wall, process, time.thread_time(), recorder, dict(costs.seconds))


class Meter(Observer):
    """Reads the clocks whenever a trial ends.

    Args:
        costs: Of the parts.
    """

    def __init__(self, costs: Costs) -> None:
        self._costs = costs
        self._start = time.perf_counter()
        self.ends: list[Clocks] = []
        self.proposed: dict[int, float] = {}
        self.waits: list[float] = []

    @contextmanager
    def watch(self) -> Iterator[None]:
        """Note when each trial is proposed."""
        propose = ProposedJobs.next

        def timed(jobs: ProposedJobs) -> TrialRecord | None:
            start = time.time()
            record = propose(jobs)
            if record is not None:
                self.proposed[record.number] = start
            return record

        with patch.object(ProposedJobs, "next", timed):
            yield

    def trial_ended(self, record: TrialRecord) -> None:
        if record.reason is not None:
            raise RuntimeError(f"trial {record.number} failed: {record.reason}")
        self.waits.append(record.epochs[-1]["began"] - self.proposed[record.number])
        self.ends.append(Clocks.now(self._costs))

    def measured(self, concurrent: int, left: float) -> dict[str, Any]:
        """The figures of one run.

        Args:
            concurrent: Trials at a time.
            left: CPU time that the recorder took after the last trial to write the rest.
        """
        first, last = self.ends[START - 1], self.ends[-1]
        parts = self._parts(left)
        return {
            "seconds_per_trial": (last.wall - first.wall) * concurrent / (len(self.ends) - START),
            "seconds_to_first_step": statistics.median(self.waits[START:]),
            "driver_cpu_ms_per_trial": sum(parts.values()),
            "start_seconds": first.wall - self._start,
            "parts": parts,
        }

    def _parts(self, left: float) -> dict[str, float]:
        """Milliseconds of CPU time a trial, by part."""
        first, last = self.ends[START - 1], self.ends[-1]
        spent = {name: last.parts[name] - first.parts.get(name, 0.0) for name in last.parts}
        main = last.main - first.main
        spent["Ray Tune's loop and the rest of the main thread"] = main - sum(spent.values())
        recorded = last.recorder - first.recorder
        spent["other threads (Ray's)"] = last.process - first.process - main - recorded
        trials = len(self.ends) - START
        parts = {name: 1000 * seconds / trials for name, seconds in spent.items()}
        # it writes trials long after they ended: what it took for all of them, over all of them
        parts["MLflow recorder"] = 1000 * (last.recorder + left) / len(self.ends)
        return parts
