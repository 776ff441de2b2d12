"""What share of the workers' time is used, by an order that repeats to the digit and without it?

A search takes its real course, by its clock, rungs and predicted costs (``utilisation_search.py``).
What a training really takes is drawn from the table in docs/measurements/methods.md (5 to 169 s),
times what was measured of the student's width, times log-normal noise (σ = 0.2); one trial in 30 is
lost at its end and takes its time twice. Workers stand idle while they wait for an outcome, and
when the last trainings end. ``utilisation`` is by workers and mode, with halving, and
``without_scheduler`` the same where every trial is trained to its end: mean over the seeds and
interval of 95 % (Student's t), and ``ratio``, that of the same seed's two modes.

    python tests/benchmarks/utilisation.py --json utilisation.json

With ``--quick`` fewer seeds.
"""

from __future__ import annotations

import multiprocessing
import os
from argparse import Namespace
from collections.abc import Sequence
from functools import partial
from typing import Any

from command import carry_out, command_line
from rich.console import Console
from rich.table import Table
from utilisation_search import Search, World, utilisation

from kdsearch.results.finalists import interval

WORKERS = (2, 8, 32)
TRIALS = 30
"""Of each worker."""

SEEDS, QUICK_SEEDS = 20, 4
MODES = {"deterministic": True, "undetermined": False}
PARTS = {"utilisation": "halving", "without_scheduler": "none"}

Job = tuple[str, int, int]


def measure(job: Job) -> tuple[Job, dict[str, float]]:
    """The share that each mode uses of one search, and their ratio."""
    scheduler, workers, seed = job
    world = World(seed, TRIALS * workers)
    found = {
        mode: utilisation(Search(world, workers, same, scheduler), workers)
        for mode, same in MODES.items()
    }
    return job, found | {"ratio": found["deterministic"] / found["undetermined"]}


def run(options: Namespace, console: Console) -> dict[str, Any]:
    """Simulate every search with every seed; the figures."""
    seeds = range(QUICK_SEEDS if options.quick else SEEDS)
    jobs = [
        (name, workers, seed) for name in PARTS.values() for workers in WORKERS for seed in seeds
    ]
    found: dict[tuple[str, int], list[dict[str, float]]] = {}
    with multiprocessing.get_context("spawn").Pool(os.cpu_count()) as pool:
        for (scheduler, workers, seed), shares in pool.imap(measure, jobs, chunksize=1):
            found.setdefault((scheduler, workers), []).append(shares)
            told = ", ".join(f"{mode} {share:.3f}" for mode, share in shares.items())
            console.print(f"{scheduler}, {workers} workers, seed {seed}: {told}")
    parts = {
        part: {str(workers): _figures(found[name, workers]) for workers in WORKERS}
        for part, name in PARTS.items()
    }
    return parts | {"setting": {"trials_of_each_worker": TRIALS, "seeds": list(seeds)}}


def _figures(shares: Sequence[dict[str, float]]) -> dict[str, dict[str, float]]:
    found = {}
    for mode in shares[0]:
        one = interval([each[mode] for each in shares])
        found[mode] = {
            "mean": one.mean,
            "low": one.mean - one.half_width,
            "high": one.mean + one.half_width,
        }
    return found


def show(found: dict[str, Any]) -> Table:
    """A line for each number of workers, with halving and without."""
    made = Table(box=None, header_style="bold")
    modes = (*MODES, "ratio")
    for column in ("scheduler", "workers", *modes):
        made.add_column(column, justify="left" if column == "scheduler" else "right")
    for part, scheduler in PARTS.items():
        for workers, of in found[part].items():
            shares = (
                f"{of[m]['mean']:.3f} ({of[m]['low']:.3f} to {of[m]['high']:.3f})" for m in modes
            )
            made.add_row(scheduler, workers, *shares)
    return made


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark from the command line."""
    options = command_line(__doc__, "fewer seeds").parse_args(arguments)
    carry_out(options.json, partial(run, options), show)


if __name__ == "__main__":
    main()
