"""A study of trials that train nothing, on the way of a real one."""

from __future__ import annotations

import cProfile
import time
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from rich.console import Console
from trial_overhead_clocks import Costs, Meter
from trial_overhead_idle import IdleTrial

from kdsearch.api import plan_study
from kdsearch.display import Display
from kdsearch.execution.connection.session import ray_session
from kdsearch.execution.dispatcher import TrialFiles
from kdsearch.execution.observers import Observers
from kdsearch.execution.tune_run import Runner
from kdsearch.results.directory import StudyDirectory
from kdsearch.results.study import Study
from kdsearch.search.loop import ProposedJobs
from kdsearch.search.proposer import Proposer
from kdsearch.space.checks import Plan
from kdsearch.spec import load_spec
from kdsearch.spec.study import StudySpec
from kdsearch.tracking.recorder import Recorder
from kdsearch.tracking.store import open_store

SPEC = Path(__file__).resolve().parents[2] / "search_spaces" / "digits.yaml"


def run_trials(
    folder: Path, trials: int, record: bool, profile: cProfile.Profile | None = None
) -> dict[str, Any]:
    """One study of idle trials; its figures.

    Args:
        folder: A new one.
        trials: How many.
        record: Whether MLflow hears of them.
        profile: Of the driver's main thread during the search.
    """
    spec = _spec(folder, trials)
    plan, inputs = plan_study(spec, None)
    directory = StudyDirectory.of(spec)
    directory.create(spec, inputs)
    costs = Costs()
    with ray_session(spec, None), (folder / "display.txt").open("w") as screen:
        _tell_teacher(directory, plan)
        meter = Meter(costs)
        recorder = [Recorder(open_store(spec.tracking))] if record else []
        observers = Observers([*recorder, Display(Console(file=screen)), meter])
        observers.study_started(Study(directory))
        observers.phase_started("search", trials, [])
        profiling: AbstractContextManager = profile or nullcontext()
        with costs.watch(), meter.watch(), profiling:
            _search(plan, directory, observers)
        end, before = time.perf_counter(), time.process_time()
        observers.study_stopped(Study(directory), "interrupted", "the benchmark ends here")
        left = time.process_time() - before if record else 0.0
        behind = time.perf_counter() - end
    assert len(meter.ends) == trials
    return meter.measured(spec.resources.concurrent, left) | {"recorder_behind_seconds": behind}


def _spec(folder: Path, trials: int) -> StudySpec:
    overrides = [
        f"study.directory={folder}",
        f"search.trials={trials}",
        f"tracking.uri=sqlite:///{folder}/mlflow.db",
        "training.epochs=1",
    ]
    return load_spec(SPEC, overrides)


def _tell_teacher(directory: StudyDirectory, plan: Plan) -> None:
    sizes = {name: {"size": vars(size)} for name, size in plan.teacher_sizes.items()}
    directory.update(state="running", phase="search", teachers=sizes)


def _search(plan: Plan, directory: StudyDirectory, observers: Observers) -> None:
    spec = plan.spec
    shared = {"resources": spec.resources.model_dump()}
    runner = Runner(shared, spec.resources, directory.path, observers, IdleTrial)
    jobs = ProposedJobs(spec, Proposer(plan.space, plan.architectures), {})
    runner.run(jobs, directory.trials, "search", TrialFiles(directory.tune, directory.failures))
