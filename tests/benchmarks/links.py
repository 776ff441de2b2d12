"""How much shorter may a training be that goes on from a wider student?

Students of seven widths, each trained from scratch, against chains: the widest is trained from
scratch, and each next narrower one is cut from its neighbour and trained for a part of the epochs
(``links_training.py`` says which). ``short_of_whole`` is by how much less accurate the students of
a chain are than those of as many channels from scratch, on validation, as a mean over widths and
seeds; ``worst_width`` is the largest such difference of a width. All have the settings that are
best at the middle width. ``regret`` is what the settings that are best at one width lose at
another against the best there.

    python tests/benchmarks/links.py FashionMNIST-FOLDER convnet --json links.json
    python tests/benchmarks/links.py CIFAR-10-images.zip resnet --json links.json

The folder holds ``FashionMNIST/raw``; the archive ``…/train/CLASS/*`` and ``…/test/CLASS/*``. With
``--quick`` fewer images, epochs, widths and seeds. It takes hours, or less with fewer
``--samples``; with ``--keep FOLDER`` it goes on where it was cut off.
"""

from __future__ import annotations

from argparse import Namespace
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from statistics import mean
from typing import Any

from command import carry_out, command_line, keeps_outcomes
from images import data_of, takes_images
from links_training import DEPTHS, Bench, Link, Setting, configs
from measuring import machine
from rich.console import Console, Group
from rich.table import Table
from seeded import PERCENT, told
from side_by_side import counted, side_by_side, taught, working_folder

from kdsearch.results.finalists import interval

QUICK = Setting(
    samples=1_000, test=100, epochs=3, widths=(1.0, 0.7, 0.5), seeds=2, links=(Link(1),)
)


def measure(options: Namespace, setting: Setting, console: Console) -> dict[str, Any]:
    """Train everything; the figures, and what they were made of."""
    with working_folder(options.keep) as folder:
        data, seeds = (
            data_of(options.data, setting.samples, setting.test),
            range(1, setting.seeds + 1),
        )
        spec = taught(lambda: setting.spec(data, options.family, folder), folder)
        tried = configs(setting.rates)
        with side_by_side(Bench, (setting, spec), "whole", folder) as whole:
            jobs = [(w, c, seed) for seed in seeds for w in setting.anchors for c in tried]
            anchors = counted(whole(jobs), len(jobs), console)
            best = next(c for c in tried if str(c) == best_at(anchors, setting.anchors[1]))
            console.print(f"best at the middle width: {best}")
            rest = [w for w in setting.widths if w not in setting.anchors]
            jobs = [(w, best, seed) for seed in seeds for w in rest]
            scratch = counted(whole(jobs), len(jobs), console)
        scratch += [run for run in anchors if run["config"] == str(best)]
        with side_by_side(Bench, (setting, spec), "chain", folder) as chain:
            jobs = [(best, seed, link) for seed in seeds for link in setting.links]
            chained = counted(chain(jobs), len(jobs), console)
    linked = [run for runs in chained for run in runs]
    return {
        "links": shortfalls(linked, scratch),
        "settings": regrets(anchors, setting.anchors),
        "best": str(best),
        "runs": {"anchors": anchors, "scratch": scratch, "links": linked},
        "machine": machine(),
    }


def _by_config(runs: Iterable[dict[str, Any]], width: float) -> dict[str, float]:
    scores = defaultdict(list)
    for run in runs:
        if run["width"] == width:
            scores[run["config"]].append(run["validation"])
    return {config: mean(values) for config, values in scores.items()}


def best_at(runs: Sequence[dict[str, Any]], width: float) -> str:
    """The settings with the best mean over the seeds at a width."""
    means = _by_config(runs, width)
    return max(means, key=lambda config: means[config])


def regrets(runs: Sequence[dict[str, Any]], widths: Sequence[float]) -> list[dict[str, Any]]:
    """For each pair of widths, what the best settings of the first lose at the second."""
    found = []
    for here in widths:
        chosen = best_at(runs, here)
        for there in widths:
            means = _by_config(runs, there)
            lost = max(means.values()) - means[chosen]
            found.append({"chosen_at": here, "used_at": there, "config": chosen, "regret": lost})
    return found


def shortfalls(
    linked: Sequence[dict[str, Any]], scratch: Sequence[dict[str, Any]]
) -> list[dict[str, Any]]:
    """By kind of link, how far its students stay below those from scratch, paired by seed."""
    known = {(run["width"], run["seed"]): run["validation"] for run in scratch}
    found = []
    for link in dict.fromkeys(run["link"] for run in linked):
        short = defaultdict(dict)
        for run in linked:
            if run["link"] == link:
                difference = known[run["width"], run["seed"]] - run["validation"]
                short[run["width"]][run["seed"]] = difference
        seeds = dict.fromkeys(seed for of_width in short.values() for seed in of_width)
        each = interval([mean(of_width[seed] for of_width in short.values()) for seed in seeds])
        by_width = {width: mean(of_width.values()) for width, of_width in short.items()}
        found.append(
            {
                "link": link,
                "short_of_whole": each.mean,
                "short_of_whole_ci": each.half_width,
                "worst_width": max(by_width.values()),
                "by_width": by_width,
            }
        )
    return found


def table(found: dict[str, Any]) -> Group:
    """The figures for a terminal."""
    links = Table(box=None, header_style="bold", title=f"chains, {found['best']}")
    for column in ("link", "short of whole trainings, points", "worst width"):
        links.add_column(column, justify="left" if column == "link" else "right")
    for row in found["links"]:
        worst = f"{PERCENT * row['worst_width']:.2f}"
        links.add_row(row["link"], told(row, "short_of_whole", "+"), worst)
    settings = Table(box=None, header_style="bold", title="settings of another width")
    for column in ("chosen at", "settings", "used at", "lost, points"):
        settings.add_column(column)
    for row in found["settings"]:
        lost = f"{PERCENT * row['regret']:.2f}"
        settings.add_row(f"{row['chosen_at']:g}", row["config"], f"{row['used_at']:g}", lost)
    return Group(links, settings)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark from the command line."""
    parser = command_line(__doc__, quick="fewer images, epochs, widths and seeds")
    takes_images(parser)
    keeps_outcomes(parser)
    parser.add_argument("family", choices=DEPTHS, help="of teacher and students")
    parser.add_argument("--samples", type=int, help="training and validation images together")
    options = parser.parse_args(arguments)
    setting = QUICK if options.quick else Setting()
    setting = replace(setting, samples=options.samples or setting.samples)
    carry_out(options.json, partial(measure, options, setting), table)


if __name__ == "__main__":
    main()
