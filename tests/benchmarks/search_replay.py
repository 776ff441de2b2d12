"""How much compute does each search need for the same front? Trials replayed from recorded curves.

``curves.py`` has trained random configurations of a small space to their end; a trial is answered
with the nearest of them (``curves_table.py``), an epoch at a time, several trials at once. Every
search may spend the epochs of so many whole trainings. ``hypervolume`` is that of the validation
front of the complete trials, by search and share of the budget: mean over the seeds and interval of
95 % (Student's t). ``compute_ratio_to_tpe`` is the share of the budget after which a search's mean
hypervolume is what plain TPE's is at the end, with an interval by drawing the seeds anew; none
where it never is.

    python tests/benchmarks/search_replay.py --json search_replay.json --figure search_replay.png

Syne Tune's searches take part where it is installed (``pip install syne-tune``). With ``--quick``
fewer seeds.
"""

from __future__ import annotations

import multiprocessing
import os
import tempfile
from argparse import Namespace
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from command import carry_out, command_line, results_file
from curves import curves_spec
from curves_table import CurvesTable
from measuring import machine
from replay import Progress, Replay
from replay_figure import write_figure
from replay_strategies import chosen, strategies
from rich.console import Console
from rich.table import Table
from studies import quieten

from kdsearch.models import measure_config
from kdsearch.search.finalists import estimate
from kdsearch.search.plan import make_plan

TABLE = Path(__file__).parent / "curves" / "digits.jsonl.gz"
BUDGET, WORKERS = 60, 4
SEEDS, QUICK_SEEDS = 20, 3
SHARES = (0.1, 0.2, 1 / 3, 0.5, 2 / 3, 1.0)
"""Of the budget, for the table."""
GRID = np.linspace(0, 1, 241)
"""Of the budget, for the figure and for the ratio."""
RESAMPLES = 2_000
BASE = "tpe"


def search(job: tuple[str, int]) -> tuple[str, int, Progress]:
    """Replay one search with one seed."""
    name, seed = job
    quieten()
    with tempfile.TemporaryDirectory(prefix="replay") as folder:
        plan = make_plan(curves_spec(Path(folder)))
    largest = measure_config(plan.spec.teacher.model, plan.data.image_shape, 10).parameters
    table = CurvesTable.read(TABLE)
    jobs = strategies()[name].jobs(plan, table, seed, WORKERS)
    return name, seed, Replay(table, WORKERS, largest).run(jobs, BUDGET)


def run(options: Namespace, console: Console) -> dict[str, Any]:
    """Replay every search with every seed; the figures."""
    names = list(chosen(options.only))
    seeds = range(QUICK_SEEDS if options.quick else SEEDS)
    volumes: dict[str, list[np.ndarray]] = {name: [] for name in names}
    begun: dict[str, list[int]] = {name: [] for name in names}
    jobs = [(name, seed) for seed in seeds for name in names]
    with multiprocessing.get_context("spawn").Pool(os.cpu_count()) as pool:
        for name, seed, progress in pool.imap(search, jobs, chunksize=1):
            volumes[name].append(progress.at(GRID * BUDGET))
            begun[name].append(progress.trials)
            console.print(f"{name}, seed {seed}: {volumes[name][-1][-1]:.4f}")
    curves = {name: np.array(found) for name, found in volumes.items()}
    if options.figure is not None:
        write_figure(options.figure, GRID * BUDGET, curves)
    return {
        "hypervolume": {name: by_share(found) for name, found in curves.items()},
        "compute_ratio_to_tpe": {
            name: compute_ratio(found, curves[BASE]) for name, found in curves.items()
        },
        "trials": {name: float(np.mean(found)) for name, found in begun.items()},
        "setting": {"budget": BUDGET, "workers": WORKERS, "seeds": len(seeds)},
        "machine": machine(),
    }


def by_share(found: np.ndarray) -> dict[str, dict[str, float]]:
    """Hypervolume at some shares of the budget.

    Args:
        found: [seeds, len(GRID)] hypervolumes.
    """
    figures = {}
    for share in SHARES:
        at = estimate(found[:, int(np.searchsorted(GRID, share - 1e-9))].tolist())
        figures[f"{share:.3g}"] = {"mean": at.mean, "half_width": at.half_width}
    return figures


def compute_ratio(found: np.ndarray, base: np.ndarray) -> dict[str, float | None]:
    """After which share of the budget a search has the base's mean final hypervolume.

    Args:
        found: [seeds, len(GRID)] hypervolumes.
        base: The same of the search that it is compared with.
    """
    generator = np.random.default_rng(0)
    drawn = []
    for _ in range(RESAMPLES):
        rows = (generator.integers(len(each), size=len(each)) for each in (found, base))
        ours, theirs = (each[row] for each, row in zip((found, base), rows, strict=True))
        drawn.append(_reached(ours, theirs))
    low, high = np.quantile(drawn, [0.025, 0.975], method="nearest")
    ratio = _reached(found, base)
    return {
        name: float(value) if np.isfinite(value) else None
        for name, value in (("ratio", ratio), ("low", low), ("high", high))
    }


def _reached(found: np.ndarray, base: np.ndarray) -> float:
    above = np.flatnonzero(found.mean(axis=0) >= base[:, -1].mean())
    return float(GRID[above[0]]) if len(above) else float("inf")


def table(found: Mapping[str, Any]) -> Table:
    """A row for each search."""
    made = Table(box=None, header_style="bold")
    made.add_column("hypervolume after")
    for share in SHARES:
        made.add_column(f"{share:.0%}", justify="right")
    made.add_column("trials", justify="right")
    made.add_column("compute to tpe's end", justify="right")
    for name, figures in found["hypervolume"].items():
        ratio = found["compute_ratio_to_tpe"][name]
        cells = [f"{each['mean']:.3f}" for each in figures.values()]
        made.add_row(name, *cells, f"{found['trials'][name]:.0f}", _ratio_words(ratio))
    return made


def _ratio_words(ratio: Mapping[str, float | None]) -> str:
    value, low, high = (ratio[name] for name in ("ratio", "low", "high"))
    if value is None:
        return "never"
    return f"{value:.2f} ({low or 0:.2f}–{'never' if high is None else f'{high:.2f}'})"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark from the command line."""
    parser = command_line(__doc__, "fewer seeds")
    parser.add_argument("--figure", type=results_file, help="picture of hypervolume and compute")
    parser.add_argument("--only", nargs="+", choices=list(strategies()), help="of the searches")
    options = parser.parse_args(arguments)
    if options.only is not None and BASE not in options.only:
        options.only.append(BASE)
    carry_out(options.json, partial(run, options), table)


if __name__ == "__main__":
    main()
