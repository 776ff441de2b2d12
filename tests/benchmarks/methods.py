"""Does each method distil? One teacher, one student, every method at one budget, several seeds.

Every method, and the undistilled student, has its published defaults and the best of three
learning rates, each tried with one seed on validation: a rate that suits plain cross-entropy is no
fair rate for a loss with other weights. The test split is scored once a training, at its end.

    python tests/benchmarks/methods.py --data FOLDER --json methods.json

FOLDER holds ``FashionMNIST/raw``. With ``--quick`` fewer images, epochs and seeds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from command import carry_out, command_line, write_results
from methods_training import KD_BY, QUICK, Bench, Setting, train_teacher
from rich.console import Console
from rich.table import Table
from side_by_side import side_by_side

from kdsearch.methods import METHODS, UNDISTILLED
from kdsearch.models import measure_config, of_images
from kdsearch.results.finalists import interval

RATES = (0.03, 0.1, 0.3)
"""Learning rates among which every method chooses."""


def summarise(
    name: str, runs: Sequence[dict[str, Any]], baseline: Sequence[dict[str, Any]], size: int
) -> dict[str, Any]:
    """One method's row over the seeds that did not diverge; both are in the seeds' order."""
    lr = runs[0]["lr"]
    pairs = [pair for pair in zip(runs, baseline, strict=True) if "diverged" not in pair[0]]
    diverged = len(runs) - len(pairs)
    runs = [run for run, _ in pairs]
    accuracy = interval([run["accuracy"] for run in runs])
    gain = interval([run["accuracy"] - other["accuracy"] for run, other in pairs])
    means = {key: interval([run[key] for run in runs]).mean for key in ("nll", "ece", "kl")}
    return {
        "method": name,
        "accuracy_mean": accuracy.mean,
        "accuracy_ci": accuracy.half_width,
        "gain": gain.mean,
        "gain_ci": gain.half_width,
        "lr": lr,
        "diverged": diverged,
        "agreement": interval([run["agreement"] for run in runs]).mean,
        **means,
        "parameters": size,
        "seeds": len(runs),
        "seconds": interval([run["seconds"] for run in runs]).mean,
    }


def run(setting: Setting, root: Path, names: Sequence[str], console: Console) -> Iterator[dict]:
    """Train everything; yields one row a method, the baseline's first."""
    weights, accuracy = train_teacher(setting, root)
    console.print(f"teacher: test accuracy {accuracy:.2%}")
    with side_by_side(Bench, (setting, root, weights), "train") as train:
        tried = [(name, 0, lr, False) for name in names for lr in RATES]
        sweep = list(train(tried))
        rates = {name: best_rate([run for run in sweep if run["name"] == name]) for name in names}
        seeds = range(1, setting.seeds + 1)
        jobs = [(name, seed, rates[name], True) for name in names for seed in seeds]
        done: list[dict[str, Any]] = []
        baseline: list[dict[str, Any]] = []
        for result in train(jobs):
            done.append(result)
            if len(done) < setting.seeds:
                continue
            baseline = baseline or list(done)
            model = setting.task(done[0]["name"], 0, 1.0).model
            size = measure_config(model, of_images((1, 28, 28)), 10).parameters
            yield summarise(done[0]["name"], done, baseline, size)
            done.clear()


def best_rate(sweep: Sequence[dict[str, Any]]) -> float:
    """The learning rate of the best of some trainings that ended well."""
    return max(sweep, key=lambda run: run["accuracy"])["lr"]


def table(rows: Sequence[dict[str, Any]]) -> Table:
    """The rows as a table, the best first."""
    made = Table(box=None, header_style="bold")
    figures = ("test accuracy", "gain", "agreement", "ECE", "rate", "parameters", "s")
    for column in ("method", *figures):
        made.add_column(column, justify="left" if column == "method" else "right")
    for row in sorted(rows, key=lambda row: -row["accuracy_mean"]):
        made.add_row(
            row["method"],
            f"{100 * row['accuracy_mean']:.2f} ± {100 * row['accuracy_ci']:.2f}",
            ""
            if row["method"] == UNDISTILLED
            else f"{100 * row['gain']:+.2f} ± {100 * row['gain_ci']:.2f}",
            f"{100 * row['agreement']:.2f}",
            f"{100 * row['ece']:.2f}",
            f"{row['lr']:g}",
            f"{row['parameters']:,}",
            f"{row['seconds']:.0f}",
        )
    return made


def collect(
    setting: Setting, root: Path, names: Sequence[str], results: Path | None, console: Console
) -> list[dict[str, Any]]:
    """Every row; after each, what there is so far is written."""
    rows = []
    for row in run(setting, root, names, console):
        rows.append(row)
        console.print(f"{row['method']}: {row['accuracy_mean']:.2%}, {row['gain']:+.2%}")
        if results is not None:
            write_results(results, rows)
    return rows


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark from the command line."""
    beside = Path(__file__).resolve().parents[2].parent / "shared" / "data"
    parser = command_line(__doc__, quick="fewer images, epochs and seeds")
    parser.add_argument("--data", type=Path, default=beside, help="holds FashionMNIST/raw")
    parser.add_argument("--methods", nargs="+", metavar="NAME", help="these methods alone")
    parser.add_argument("--scale", type=float, default=1.0, help="factor of published weights")
    options = parser.parse_args(arguments)
    if not (options.data / "FashionMNIST" / "raw").is_dir():
        parser.error(f"there is no FashionMNIST/raw in {options.data}; give its folder by --data")
    every = [*(name for name, one in METHODS.items() if not one.unlabelled), *KD_BY]
    names = options.methods or every
    unknown = sorted(set(names) - {*every, UNDISTILLED})
    if unknown:
        parser.error(f"no method is called {', '.join(unknown)}; there are {', '.join(every)}")
    wanted = [UNDISTILLED, *(name for name in names if name != UNDISTILLED)]
    setting = replace(QUICK if options.quick else Setting(), scale=options.scale)
    measure = partial(collect, setting, options.data, wanted, options.json)
    carry_out(options.json, measure, table)


if __name__ == "__main__":
    main()
