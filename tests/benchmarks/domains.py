"""What do methods of domain adaptation gain from MNIST to scikit-learn's digits?

Students learn from MNIST in 8×8 pixels with labels and from the digits without any, and are judged
on the digits' test. Every method is tuned on the digits' validation split with as many tries: over
learning rate and all values that it searches, weights among them. Then it is trained on several
seeds, and its gains are over the same student that learns from the labels alone.

    python tests/benchmarks/domains.py PATH --json domains.json

PATH holds ``MNIST/raw``. With ``--quick`` fewer images, epochs, tries and seeds.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from command import carry_out, command_line
from domains_training import METHODS, QUICK, Bench, Setting, jobs_of
from rich.console import Console
from rich.table import Table
from seeded import PERCENT, best_of, told
from side_by_side import side_by_side

from kdsearch.methods import UNDISTILLED
from kdsearch.results.finalists import Interval, interval


def measure(setting: Setting, root: Path, console: Console) -> dict[str, Any]:
    """Train everything; the teacher's scores, and a row for each method."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "teacher.safetensors"
        bench = Bench(setting, root, file)
        teacher = bench.teach()
        console.print(f"teacher: {teacher}")
        with side_by_side(Bench, (setting, root, file), "train") as train:
            tuned = best_of(train(jobs_of(bench.spec, setting)), "method")
            console.print("tuned")
            seeds = range(1, setting.seeds + 1)
            runs = list(train((m, tuned[m]["chosen"], seed) for m in METHODS for seed in seeds))
    return {"teacher": teacher, "methods": rows(runs), "runs": runs}


def rows(runs: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Means over the seeds with 95 % intervals; gains are paired by seed."""
    of = {label: [run for run in runs if run["method"] == label] for label in METHODS}
    plain = {run["seed"]: run["target"] for run in of[UNDISTILLED]}
    found = []
    for label, own in of.items():
        row = {"method": label, "seeds": len(own), "chosen": own[0]["chosen"]}
        gains = [run["target"] - plain[run["seed"]] for run in own]
        for name, values in (
            ("target", [run["target"] for run in own]),
            ("gain", gains),
            ("source", [run["source"] for run in own]),
            ("seconds", [run["seconds"] for run in own]),
        ):
            row |= _figures(name, interval(values))
        found.append(row)
    return found


def _figures(name: str, found: Interval) -> dict[str, float]:
    return {name: found.mean, f"{name}_ci": found.half_width}


def table(found: dict[str, Any]) -> Table:
    """The figures for a terminal, in percent."""
    made = Table(box=None, header_style="bold", title="MNIST → digits")
    made.add_column("method")
    for column in ("target test", "gain", "source test", "rate", "s"):
        made.add_column(column, justify="right")
    for row in found["methods"]:
        made.add_row(
            row["method"],
            told(row, "target"),
            "" if row["method"] == UNDISTILLED else told(row, "gain", "+"),
            told(row, "source"),
            f"{row['chosen']['training']['lr']:.3f}",
            f"{row['seconds']:.1f}",
        )
    teacher = (f"{PERCENT * found['teacher'][name]:.2f}" for name in ("target", "source"))
    made.add_row("teacher", next(teacher), "", next(teacher), "", "")
    return made


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark from the command line."""
    parser = command_line(__doc__, quick="fewer images, epochs, tries and seeds")
    parser.add_argument("root", type=Path, help="folder that holds MNIST/raw")
    options = parser.parse_args(arguments)
    if not (options.root / "MNIST" / "raw").is_dir():
        parser.error(f"there is no {options.root / 'MNIST' / 'raw'}; give the folder that holds it")
    setting = QUICK if options.quick else Setting()
    carry_out(options.json, partial(measure, setting, options.root), table)


if __name__ == "__main__":
    main()
