"""What a trial costs beside its training: seconds, and CPU time of the driver, by number of trials.

The trials of ``search_spaces/digits.yaml`` take the way of a real study: Optuna's TPE over the
conditional space, sizes and limits, Ray Tune on reused actors, both journals, the MLflow recorder.
Only the epoch is left out: a trial's one step reports a made-up accuracy at once.

    python tests/benchmarks/trial_overhead.py --json trial_overhead.json

With ``--quick`` 10 and 100 trials, fewer repeats; with ``--profile`` also where the main thread of
the driver spends its time, by cProfile.

``seconds_per_trial`` is the wall clock × the trials at a time / the number of trials: how long a
slot is taken by a trial that trains nothing. It and ``driver_cpu_ms_per_trial`` (all threads of the
driver) count from the end of an early trial to the end of the last; the start of Ray and of the
actors is told apart.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import math
import pstats
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import wraps
from pathlib import Path
from typing import Any
from unittest.mock import patch

import optuna
from rich.console import Console
from rich.table import Table

from kdsearch.api import quieten
from kdsearch.display import Display
from kdsearch.search.blueprints import Blueprints
from kdsearch.search.directory import StudyDirectory
from kdsearch.search.events import Observer, Observers
from kdsearch.search.fitting import Pairs
from kdsearch.search.plan import Plan, make_plan
from kdsearch.search.proposals import ProposedJobs, open_optuna_study
from kdsearch.search.record import Journal, TrialRecord
from kdsearch.search.runner import Runner
from kdsearch.search.session import ray_session
from kdsearch.search.space import Space
from kdsearch.search.study import Study
from kdsearch.search.trial import StudentTrial
from kdsearch.spec import load_spec
from kdsearch.tracking.recorder import Recorder
from kdsearch.tracking.store import open_store

SPEC = Path(__file__).resolve().parents[2] / "search_spaces" / "digits.yaml"
START = 6
"""Trials that count as start: the first of each actor, and those that ended while the slower of the
two was starting."""


SETTLING = 8.0
"""Seconds of the first training of each actor. Ray Tune gives up an actor that is still starting as
soon as another one is free; after trainings of no length a study would have one actor for ever."""


class IdleTrial(StudentTrial):
    """Takes up each task as a trial does, and reports without training.

    It has neither data nor teacher, which an actor takes up once, at its start.
    """

    _settled = False

    def setup(self, config: dict[str, Any], shared: dict[str, Any] | None = None) -> None:
        self._begin(config)

    def step(self) -> dict[str, Any]:
        if not self._settled:
            self._settled = True
            time.sleep(SETTLING)
        task = self._task
        capacity = task.model.width * (task.model.depth or 1)
        accuracy = 1 - 0.5 / (1 + capacity) - 0.1 * abs(math.log(task.training.lr / 0.05))
        report = {"epoch": 1.0, "loss": 1.0, "lr": task.training.lr, "seconds": 0.0}
        scores = {"accuracy": max(accuracy, 0.0), "nll": 1.0, "ece": 0.1}
        scores |= {"agreement": 0.9, "kl": 0.1, "began": time.time()}
        return {"report": report | scores, "done": True}


class Costs:
    """CPU time of parts of the driver's main thread, each without the parts inside it."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._inner: list[float] = []

    def counted(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
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
                (Blueprints, "size", "proposal: size of the student"),
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
        recorders = [t for t in threading.enumerate() if t.name == "mlflow-recorder" and t.ident]
        recorder = sum(
            time.clock_gettime(time.pthread_getcpuclockid(thread.ident or 0))
            for thread in recorders
        )
        wall, process = time.perf_counter(), time.process_time()
        return cls(wall, process, time.thread_time(), recorder, dict(costs.seconds))


class Meter(Observer):
    """Reads the clocks whenever a trial ends."""

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
        trials = len(self.ends) - START
        spent = {name: last.parts[name] - first.parts.get(name, 0.0) for name in last.parts}
        main = last.main - first.main
        spent["Ray Tune's loop and the rest of the main thread"] = main - sum(spent.values())
        recorded = last.recorder - first.recorder
        spent["other threads (Ray's)"] = last.process - first.process - main - recorded
        parts = {name: 1000 * seconds / trials for name, seconds in spent.items()}
        # it writes trials long after they ended: what it took for all of them, over all of them
        parts["MLflow recorder"] = 1000 * (last.recorder + left) / len(self.ends)
        return {
            "seconds_per_trial": (last.wall - first.wall) * concurrent / trials,
            "seconds_to_first_step": statistics.median(self.waits[START:]),
            "driver_cpu_ms_per_trial": sum(parts.values()),
            "start_seconds": first.wall - self._start,
            "parts": parts,
        }


def run_trials(folder: Path, trials: int, record: bool, profile: cProfile.Profile | None) -> dict:
    """One study of idle trials in a new folder; its figures."""
    overrides = [
        f"study.directory={folder}",
        f"search.trials={trials}",
        f"tracking.uri=sqlite:///{folder}/mlflow.db",
        "training.epochs=1",
    ]
    spec = load_spec(SPEC, overrides)
    plan = make_plan(spec)
    directory = StudyDirectory.of(spec)
    directory.create(spec)
    costs = Costs()
    with ray_session(spec, None):
        _tell_teacher(directory, plan)
        meter = Meter(costs)
        recorder = [Recorder(open_store(spec.tracking))] if record else []
        with (folder / "display.txt").open("w") as screen:
            observers = Observers([*recorder, Display(Console(file=screen)), meter])
            observers.study_started(Study(directory))
            observers.phase_started("search", trials, [])
            runner = Runner({}, spec.resources, directory.tune, observers, IdleTrial)
            study = open_optuna_study(directory.optuna, spec.study.name, spec.search.size)
            classes = len(plan.data.classes)
            jobs = ProposedJobs(plan.space, study, plan.data.image_shape, classes, {})
            profiling: AbstractContextManager = profile or nullcontext()
            with costs.watch(), meter.watch(), profiling:
                runner.run(jobs, directory.trials, "search")
            end, before = time.perf_counter(), time.process_time()
            observers.study_stopped(Study(directory), "interrupted", "the benchmark ends here")
            left = time.process_time() - before if record else 0.0
            behind = time.perf_counter() - end
    assert len(meter.ends) == trials
    return meter.measured(spec.resources.concurrent, left) | {"recorder_behind_seconds": behind}


def _tell_teacher(directory: StudyDirectory, plan: Plan) -> None:
    sizes = {name: {"size": vars(size)} for name, size in plan.teacher_sizes.items()}
    facts = {"name": plan.data.name, "fingerprint": plan.data.fingerprint}
    directory.update(state="running", phase="search", data=facts, teachers=sizes)


def middle(runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The medians of several runs' figures."""
    found: dict[str, Any] = {}
    for key, value in runs[0].items():
        values = [run[key] for run in runs]
        found[key] = middle(values) if isinstance(value, dict) else statistics.median(values)
    return found


def run_all(counts: Sequence[int], repeats: dict[int, int], console: Console) -> dict[str, Any]:
    """Every number of trials, with the recorder and without; medians of the repeats."""
    found: dict[str, Any] = {"with_recorder": {}, "without_recorder": {}}
    for kind in found:
        for trials in counts:
            runs = []
            for _ in range(repeats.get(trials, 1)):
                with tempfile.TemporaryDirectory(prefix="trial_overhead") as folder:
                    runs.append(run_trials(Path(folder), trials, kind == "with_recorder", None))
            found[kind][str(trials)] = middle(runs)
            shown = found[kind][str(trials)]
            console.print(
                f"{kind}, {trials} trials: {shown['seconds_per_trial']:.3f} s and "
                f"{shown['driver_cpu_ms_per_trial']:.1f} ms of the driver a trial",
                highlight=False,
            )
    return found


def as_json(found: dict[str, Any]) -> dict[str, Any]:
    """Each figure as an object keyed by the number of trials; those of a user's run on top."""

    def turned(runs: dict[str, Any]) -> dict[str, Any]:
        keys = next(iter(runs.values())).keys()
        return {key: {trials: run[key] for trials, run in runs.items()} for key in keys}

    recorded = turned(found["with_recorder"])
    return recorded | {"without_recorder": turned(found["without_recorder"])}


def table(found: dict[str, Any]) -> Table:
    """One column a number of trials; the parts are those of a user's run."""
    runs = found["with_recorder"]
    shown = Table(box=None, header_style="bold")
    shown.add_column("a trial costs")
    for trials in runs:
        shown.add_column(f"{trials} trials", justify="right")

    def row(name: str, values: Iterator[str]) -> None:
        shown.add_row(name, *values)

    for kind, words in (("with_recorder", ""), ("without_recorder", " without MLflow")):
        each = found[kind].values()
        row(f"seconds{words}", (f"{run['seconds_per_trial']:.3f}" for run in each))
        row(f"driver's CPU{words}", (f"{run['driver_cpu_ms_per_trial']:.1f} ms" for run in each))
    waits = (f"{run['seconds_to_first_step']:.3f}" for run in runs.values())
    row("seconds from proposal to first step", waits)
    row("start, once, seconds", (f"{run['start_seconds']:.1f}" for run in runs.values()))
    for part in sorted({name for run in runs.values() for name in run["parts"]}):
        row(f"  {part}", (f"{run['parts'].get(part, 0.0):.1f} ms" for run in runs.values()))
    return shown


def profile_trials(trials: int) -> None:
    """Print where the driver's main thread spends its time."""
    profile = cProfile.Profile()
    with tempfile.TemporaryDirectory(prefix="trial_overhead") as folder:
        run_trials(Path(folder), trials, True, profile)
    for order in ("cumulative", "tottime"):
        pstats.Stats(profile).sort_stats(order).print_stats(60)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="10 and 100 trials, fewer repeats")
    parser.add_argument("--json", type=Path, help="where the results go")
    parser.add_argument("--profile", action="store_true", help="profile the driver instead")
    parser.add_argument("--trials", type=int, nargs="+", help="these numbers of trials")
    options = parser.parse_args(arguments)
    counts = options.trials or ([10, 100] if options.quick else [10, 100, 1000])
    if min(counts) <= START:
        parser.error(f"the first {START} trials are the start; give more by --trials")
    quieten()
    if options.profile:
        profile_trials(options.trials[-1] if options.trials else 100)
        return
    start = time.perf_counter()
    found = run_all(counts, {10: 2} if options.quick else {10: 5, 100: 3}, Console(file=sys.stderr))
    if options.json:
        options.json.write_text(json.dumps(as_json(found), indent=1) + "\n")
    Console(width=100).print(table(found))
    print(f"{(time.perf_counter() - start) / 60:.1f} minutes")


if __name__ == "__main__":
    main()
