"""Does a search reach its front sooner with the front of an earlier study to begin with?

Both are replayed (see ``search_replay.py``): first a search of the space ``wide`` on digits, then
one of the same space on a few images of Fashion-MNIST, which tries the first one's front before
it goes its own way (``search.warm_start``), and the same without it. ``compute_ratio_to_cold`` is
the share of the budget after which the warm searches' mean hypervolume is what the cold ones' is at
the end; the other figures are those of ``search_replay.py``.

    python tests/benchmarks/warm_start.py --data FOLDER --json warm.json --figure warm.png

FOLDER holds ``FashionMNIST/raw``. With ``--quick`` fewer seeds.
"""

from __future__ import annotations

import multiprocessing
import os
from argparse import Namespace
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from command import carry_out, command_line, results_file
from measuring import machine
from replay_figure import write_figure
from rich.console import Console, Group
from rich.text import Text
from search_replay import BUDGET, prepare
from volumes import GRID, Progress, compute_ratio, figures, ratio_words, table, volumes

from kdsearch.results.objectives import Objectives
from kdsearch.space.warm_start import Front, front_to_try

SEARCHES = ("tpe", "kdsearch halving")
SPENT = 30
"""Whole trainings that each search on the second data set may spend."""
SEEDS, QUICK_SEEDS = 20, 3


def search(job: tuple[str, int, Path]) -> tuple[str, Progress, Progress]:
    """One search with one seed: without an earlier study, and with one."""
    name, seed, root = job
    earlier, jobs = prepare("wide", name, seed)
    earlier.run(jobs, BUDGET)
    front = front_to_try(earlier.front(), Objectives())
    cold, warm = (_second(name, seed, root, fronts) for fronts in ([], [front]))
    return name, cold, warm


def _second(name: str, seed: int, root: Path, fronts: list[Front]) -> Progress:
    # another seed than the first study's, so that they have no proposal in common
    replay, jobs = prepare("fashion_mnist", name, SEEDS + seed, root=root, fronts=fronts)
    return replay.run(jobs, SPENT)


def run(options: Namespace, console: Console) -> dict[str, Any]:
    """Replay both with every seed; the figures."""
    found: dict[str, list[Progress]] = {}
    seeds = range(QUICK_SEEDS if options.quick else SEEDS)
    jobs = [(name, seed, options.data) for name in SEARCHES for seed in seeds]
    with multiprocessing.get_context("spawn").Pool(os.cpu_count()) as pool:
        for name, cold, warm in pool.imap(search, jobs, chunksize=1):
            found.setdefault(name, []).append(cold)
            found.setdefault(_warm(name), []).append(warm)
            console.print(f"{name}: {cold.volume[-1]:.4f}, warm {warm.volume[-1]:.4f}")
    grown = volumes(found, SPENT)
    if options.figure is not None:
        write_figure(options.figure, GRID * SPENT, grown)
    ratios = {name: compute_ratio(grown[_warm(name)], grown[name]) for name in SEARCHES}
    return figures(found, SPENT) | {
        "compute_ratio_to_cold": ratios,
        "setting": {"seeds": len(seeds)},
        "machine": machine(),
    }


def _warm(name: str) -> str:
    return f"{name}, warm"


def show(found: dict[str, Any]) -> Group:
    """The searches, and how much less those need that have an earlier study."""
    ratios = found["compute_ratio_to_cold"].items()
    lines = [
        f"{name}: {ratio_words(ratio)} of its compute with an earlier study"
        for name, ratio in ratios
    ]
    return Group(table(found), Text("; ".join(lines)))


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark from the command line."""
    parser = command_line(__doc__, "fewer seeds")
    parser.add_argument("--data", type=Path, required=True, help="holds FashionMNIST/raw")
    parser.add_argument("--figure", type=results_file, help="figure of hypervolume and compute")
    options = parser.parse_args(arguments)
    carry_out(options.json, partial(run, options), show)


if __name__ == "__main__":
    main()
