"""What MLflow's records cost a study: its wall clock with them, and the recorder's CPU time.

Trials of ``search_spaces/digits.yaml`` are told to the recorder as a search of two at a time tells
them, epoch after epoch, into a SQLite file. Nothing is trained: an epoch is a wait.

    python tests/benchmarks/mlflow_records.py --json mlflow_records.json

``waited_share`` is the part of the wall clock that the search waits for MLflow: in the calls of
the recorder, and at the end for what is not written yet. ``cpu_share`` is the CPU time of the
recorder's thread over the wall clock, of one core. With ``--quick`` 50 trials.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from command import carry_out, command_line
from rich.console import Console
from rich.table import Table

from kdsearch.api import plan_study, quieten
from kdsearch.results.directory import StudyDirectory
from kdsearch.results.record import TrialRecord
from kdsearch.results.study import Study
from kdsearch.search.proposer import Proposer
from kdsearch.space.checks import Plan
from kdsearch.spec import load_spec
from kdsearch.tracking.recorder import Recorder
from kdsearch.tracking.store import open_store

SPEC = Path(__file__).resolve().parents[2] / "search_spaces" / "digits.yaml"
EPOCHS = 20
AT_A_TIME = 2
PROPOSED = 40
"""Trials that are really proposed; the others are these with other seeds."""


def run(trials: int, epoch_seconds: float, console: Console) -> dict[str, float]:
    """One study; its figures."""
    with tempfile.TemporaryDirectory(prefix="mlflow_records") as folder:
        overrides = [f"study.directory={folder}", f"tracking.uri=sqlite:///{folder}/mlflow.db"]
        spec = load_spec(SPEC, [*overrides, f"search.trials={trials}"])
        plan, inputs = plan_study(spec, None)
        directory = StudyDirectory.of(spec)
        directory.create(spec, inputs)
        sizes = {name: {"size": vars(size)} for name, size in plan.teacher_sizes.items()}
        directory.update(state="running", phase="search", teachers=sizes)
        recorder = Recorder(open_store(spec.tracking))
        recorder.study_started(Study(directory))
        return _measured(recorder, directory, _records(plan, trials), epoch_seconds)


def _measured(
    recorder: Recorder,
    directory: StudyDirectory,
    records: Iterator[TrialRecord],
    epoch_seconds: float,
) -> dict[str, float]:
    begun, cpu, own = time.perf_counter(), time.process_time(), time.thread_time()
    called, trials = 0.0, 0
    while batch := list(islice(records, AT_A_TIME)):
        trials += len(batch)
        for epoch in range(EPOCHS + 1):
            time.sleep(epoch_seconds if epoch else 0)
            for place, record in enumerate(batch):
                batch[place] = _after(record, epoch)
            before = time.perf_counter()
            for record in batch:
                (recorder.trial_epoch if epoch else recorder.trial_started)(record)
            called += time.perf_counter() - before
        before = time.perf_counter()
        for record in batch:
            ended = {"status": "complete", "finished": time.time()}
            recorder.trial_ended(record.model_copy(update=ended))
        called += time.perf_counter() - before
    ended = time.perf_counter()
    recorder.study_stopped(Study(directory), "interrupted", "the benchmark ends here")
    behind = time.perf_counter() - ended
    assert recorder.failure is None
    wall = ended - begun
    recorded = (time.process_time() - cpu) - (time.thread_time() - own)
    return {
        "trials": trials,
        "epochs": EPOCHS,
        "wall_seconds": wall,
        "waited_share": (called + behind) / wall,
        "behind_seconds": behind,
        "cpu_share": recorded / wall,
        "cpu_ms_per_trial": 1000 * recorded / trials,
    }


def _records(plan: Plan, trials: int) -> Iterator[TrialRecord]:
    proposer = Proposer(plan.space, plan.architectures)
    proposed = [proposer.record(place) for place in range(min(trials, PROPOSED))]
    for number in range(trials):
        record = proposed[number % PROPOSED]
        task = record.task.model_copy(update={"seed": number})
        yield record.model_copy(update={"number": number, "task": task, "started": time.time()})


def _after(record: TrialRecord, epoch: int) -> TrialRecord:
    """A trial after an epoch, with the scores that a classification has."""
    if not epoch:
        return record
    scores = {"accuracy": epoch / 25, "nll": 1 / epoch, "ece": 0.1, "agreement": 0.5, "kl": 0.2}
    report = {"epoch": float(epoch), "loss": 1 / epoch, "lr": 0.1, "seconds": 0.05, **scores}
    return record.model_copy(update={"epochs": (*record.epochs, report)})


def table(found: dict[str, Any]) -> Table:
    """The figures, one a line."""
    made = Table(box=None, show_header=False)
    shares = ("waited_share", "cpu_share")
    for name, value in found.items():
        made.add_row(name, f"{value:.2%}" if name in shares else f"{value:,.3g}")
    return made


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark from the command line."""
    parser = command_line(__doc__, quick="50 trials")
    parser.add_argument("--epoch-seconds", type=float, default=0.05, help="length of an epoch")
    options = parser.parse_args(arguments)
    quieten()
    trials = 50 if options.quick else 1000
    carry_out(options.json, partial(run, trials, options.epoch_seconds), table)


if __name__ == "__main__":
    main()
