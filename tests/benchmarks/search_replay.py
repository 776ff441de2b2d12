"""How much compute does each search need for the same front? Trials replayed from recorded curves.

``curves.py`` has trained random configurations of two small spaces to their end; a trial is
answered with the nearest of them (``curves_table.py``), an epoch at a time, several trials at once.
Every search may spend the epochs of so many whole trainings. ``hypervolume`` is that of the
validation front of the complete trials, by search and share of the budget: mean over the seeds and
interval of 95 % (Student's t). ``compute_ratio_to_tpe`` is the share of the budget after which a
search's mean hypervolume is what plain TPE's is at the end, with an interval by drawing the seeds
anew; none where it never is. ``on_test`` has the same of the validation front's scores on the test.
``driver_ms_per_trial`` is the processor time of proposals, decisions and outcomes, over the last
tenth of 10, 100 and 1,000 trials.

    python tests/benchmarks/search_replay.py --space wide --json wide.json --figure wide.png
    python tests/benchmarks/search_replay.py --space narrow --json narrow.json --figure narrow.png

Syne Tune's searches take part where it is installed (``pip install -c constraints.txt .[bench]``).
With ``--quick`` fewer seeds.
"""

from __future__ import annotations

import multiprocessing
import os
import tempfile
from argparse import Namespace
from collections.abc import Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from command import carry_out, command_line, results_file
from curves import curves_spec
from curves_table import CurvesTable
from measuring import machine
from replay import Replay
from replay_driver import COUNTS, driver_ms
from replay_figure import write_figure
from replay_strategies import chosen, strategies
from rich.console import Console, Group
from rich.text import Text
from studies import quieten
from volumes import BASE, GRID, Progress, figures, table, volumes

from kdsearch.execution.jobs import Jobs
from kdsearch.models import measure_config
from kdsearch.space.checks import Plan, make_plan
from kdsearch.space.warm_start import Front

TABLES = Path(__file__).parent / "curves"
BUDGET, WORKERS = 60, 4
SEEDS, QUICK_SEEDS = 20, 3
TIMED = ("tpe", "kdsearch halving", "kdsearch neighbours")
"""Searches whose driver is timed over 1,000 trials."""


def search(job: tuple[str, str, int]) -> tuple[str, int, Progress]:
    """Replay one search of a space with one seed."""
    space, name, seed = job
    replay, jobs = prepare(space, name, seed)
    return name, seed, replay.run(jobs, BUDGET)


def prepare(
    space: str,
    name: str,
    seed: int,
    trials: int = 10**6,
    root: Path | None = None,
    fronts: Sequence[Front] = (),
) -> tuple[Replay, Jobs]:
    """The replay, and the jobs of one search.

    Args:
        space: Of ``curves.py``.
        name: Of the search.
        seed: Of the search.
        trials: At most so many.
        root: Folder of the images, for data that do not come with a library.
        fronts: Of earlier studies, which are tried first.
    """
    quieten()
    plan = _plan(space, root)
    largest = measure_config(plan.spec.teacher.model, plan.data.inputs, 10).parameters
    recorded = CurvesTable.read(TABLES / f"{space}.jsonl.gz")
    jobs = strategies()[name].jobs(plan, recorded.epochs, seed, WORKERS, trials, fronts)
    return Replay(recorded, WORKERS, largest), jobs


@cache
def _plan(space: str, root: Path | None) -> Plan:
    """The plan of a space, which is the same for every search: making it trains a few steps."""
    with tempfile.TemporaryDirectory(prefix="replay") as folder:
        return make_plan(curves_spec(space, Path(folder), root))


def run(options: Namespace, console: Console) -> dict[str, Any]:
    """Replay every search with every seed; the figures."""
    found: dict[str, list[Progress]] = {name: [] for name in chosen(options.only)}
    seeds = range(QUICK_SEEDS if options.quick else SEEDS)
    space = options.space
    jobs = [(space, name, seed) for seed in seeds for name in found]
    with multiprocessing.get_context("spawn").Pool(os.cpu_count()) as pool:
        for name, seed, progress in pool.imap(search, jobs, chunksize=1):
            found[name].append(progress)
            console.print(f"{name}, seed {seed}: {progress.at(np.array([BUDGET]))[0]:.4f}")
    if options.figure is not None:
        write_figure(options.figure, GRID * BUDGET, volumes(found, BUDGET))
    timed = [name for name in found if name in TIMED]
    of_driver = {name: driver_ms(*prepare(space, name, 0, COUNTS[-1])) for name in timed}
    setting = {"space": space, "workers": WORKERS, "seeds": len(seeds)}
    on_test = {name: [each.on_test() for each in grown] for name, grown in found.items()}
    return figures(found, BUDGET) | {
        "on_test": figures(on_test, BUDGET),
        "driver_ms_per_trial": of_driver,
        "setting": setting,
        "machine": machine(),
    }


def show(found: dict[str, Any]) -> Group:
    """The searches, and what a trial takes of the driver."""
    lines = [
        f"{name}: {', '.join(f'{ms:.0f} ms at {count}' for count, ms in of.items())} trials"
        for name, of in found["driver_ms_per_trial"].items()
    ]
    return Group(table(found), Text("driver a trial: " + "; ".join(lines)))


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark from the command line."""
    parser = command_line(__doc__, "fewer seeds")
    parser.add_argument("--figure", type=results_file, help="figure of hypervolume and compute")
    parser.add_argument("--space", default="wide", choices=["narrow", "wide"], help="of curves.py")
    parser.add_argument("--only", nargs="+", choices=list(strategies()), help="of the searches")
    options = parser.parse_args(arguments)
    if options.only is not None and BASE not in options.only:
        options.only.append(BASE)
    carry_out(options.json, partial(run, options), show)


if __name__ == "__main__":
    main()
