"""What should a rung compare? How well a score on the way foretells the order at the end.

Random configurations of the shipped space of Fashion-MNIST (all methods, widths, depths and rates)
are trained to their end on a subset. On the way, and beside it, each candidate gives a score after
1/9, 1/4, 1/3 and 1/2 of the epochs (``rungs_trainings.py`` says which). ``kendall``, by candidate
and fraction, is the rank correlation (Kendall's τ-b) between that score and the accuracy at the
end, over all configurations; ``kendall_within_sizes`` is its mean over the thirds of the
configurations by size, where an order is harder to tell. ``cost`` is what the candidate takes
beside the training itself, over a whole training. ``--candidates`` asks only some.

    python tests/benchmarks/rungs.py --data FOLDER --json rungs.json

FOLDER holds ``FashionMNIST/raw``. With ``--quick`` fewer configurations, images and epochs.
"""

from __future__ import annotations

import tempfile
from argparse import Namespace
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from command import carry_out, command_line
from measuring import machine
from rich.console import Console
from rich.table import Table
from rungs_trainings import CANDIDATES, FRACTIONS, Bench, Scores, Setting
from scipy.stats import kendalltau
from side_by_side import side_by_side, train_teacher

from kdsearch.search.estimate import sample_trials
from kdsearch.space.checks import make_plan

QUICK = Setting(samples=1_000, epochs=9, configs=8)
RESAMPLES = 1_000


def run(options: Namespace, setting: Setting, console: Console) -> dict[str, Any]:
    """Train everything; the figures, and what they were made of."""
    with tempfile.TemporaryDirectory(prefix="rungs") as folder:
        spec = setting.spec(options.data, Path(folder))
        weights = Path(folder) / "teacher.safetensors"
        records = sample_trials(make_plan(spec), setting.configs)
        train_teacher(spec, weights)
        taught = setting.spec(options.data, Path(folder), f"teacher.checkpoint={weights}")
        found: list[Scores] = []
        jobs = [(record.task, record.parameter_count) for record in records]
        with side_by_side(Bench, (setting, taught), "measure") as measure:
            for scores in measure(jobs):
                found.append(scores)
                told = "diverged" if scores.final is None else f"{scores.final['accuracy']:.2%}"
                console.print(f"{len(found)} of {len(jobs)}: {scores.label} {told}")
    return figures(found, setting.candidates) | {"setting": asdict(setting), "machine": machine()}


def figures(found: Sequence[Scores], candidates: Sequence[str]) -> dict[str, Any]:
    """The correlations and costs over the trainings that did not diverge."""

    def each(of: Callable[[str, str], Any]) -> dict[str, dict[str, Any]]:
        return {name: {str(part): of(name, str(part)) for part in FRACTIONS} for name in candidates}

    ended = [scores for scores in found if scores.final is not None]
    result: dict[str, Any]
    by_candidate = {"kendall": _kendall, "kendall_within_sizes": _within_sizes}
    result = {name: each(partial(_interval, of, ended)) for name, of in by_candidate.items()}
    result["cost"] = each(partial(_cost, ended))
    result["diverged"] = len(found) - len(ended)
    result["trainings"] = [asdict(scores) for scores in found]
    return result


def _kendall(ended: Sequence[Scores], candidate: str, fraction: str) -> float:
    early = [each.at[candidate][fraction]["accuracy"] for each in ended]
    final = [each.final["accuracy"] for each in ended if each.final]
    return float(kendalltau(early, final).statistic)


def _within_sizes(ended: Sequence[Scores], candidate: str, fraction: str) -> float:
    by_size = sorted(ended, key=lambda each: each.parameters)
    thirds = np.array_split(np.arange(len(by_size)), 3)
    parts = ([by_size[place] for place in third] for third in thirds)
    return float(np.mean([_kendall(part, candidate, fraction) for part in parts]))


def _interval(
    of: Callable[..., float], ended: Sequence[Scores], candidate: str, fraction: str
) -> dict[str, float]:
    """A figure with an interval of 95 % by drawing configurations anew."""
    generator = np.random.default_rng(0)
    drawn = (
        [ended[place] for place in generator.integers(len(ended), size=len(ended))]
        for _ in range(RESAMPLES)
    )
    values = [of(each, candidate, fraction) for each in drawn]
    low, high = np.nanquantile(values, [0.025, 0.975])
    return {"value": of(ended, candidate, fraction), "low": float(low), "high": float(high)}


def _cost(ended: Sequence[Scores], candidate: str, fraction: str) -> float:
    ratios = [each.seconds[candidate][fraction] / each.seconds["final"]["1"] for each in ended]
    return float(np.median(ratios))


def table(found: dict[str, Any]) -> Table:
    """A row for each candidate, a column for each fraction."""
    shown = Table(box=None, header_style="bold")
    shown.add_column("Kendall's τ with the end after")
    for part in FRACTIONS:
        shown.add_column(str(part), justify="right")
    for key, words in (("kendall", ""), ("kendall_within_sizes", ", within thirds")):
        for name, values in found[key].items():
            cells = (f"{v['value']:.2f} ({v['low']:.2f}–{v['high']:.2f})" for v in values.values())
            shown.add_row(name + words, *cells)
    for name, costs in found["cost"].items():
        shown.add_row(f"cost of {name}", *(f"{value:.1%}" for value in costs.values()))
    return shown


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark from the command line."""
    parser = command_line(__doc__, "fewer configurations, images and epochs")
    parser.add_argument("--data", type=Path, required=True, help="holds FashionMNIST/raw")
    parser.add_argument(
        "--candidates", nargs="+", choices=CANDIDATES, default=CANDIDATES, help="who is asked"
    )
    options = parser.parse_args(arguments)
    setting = QUICK if options.quick else Setting()
    setting = replace(setting, candidates=tuple(options.candidates))
    carry_out(options.json, partial(run, options, setting), table)


if __name__ == "__main__":
    main()
