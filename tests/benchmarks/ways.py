"""Which way to a small model is best, and does distillation help it? One budget, several seeds.

Students of three widths are made small by each way, alone and with ``dist`` by one teacher, in as
many epochs each (``ways_training.py`` says which). Each way and method chooses among three learning
rates at the middle width, with one seed on validation. Then the test split is scored once a
training. ``gain`` is that of distillation over the same way alone, ``lost`` is under the same
student without a way, by the same method; both are paired by seed. The rows ``int8`` are the
students without a way, quantized after their training as they are shipped. ``compute`` is what an
epoch multiplies, on average, over what one of the student does.

    python tests/benchmarks/ways.py FashionMNIST-FOLDER --json ways.json --figure ways.png
    python tests/benchmarks/ways.py CIFAR-10-images.zip --json ways.json

The folder holds ``FashionMNIST/raw``; the archive ``…/train/CLASS/*`` and ``…/test/CLASS/*``. With
``--quick`` fewer images, epochs, widths and seeds. With ``--keep FOLDER`` it goes on where it was
cut off.
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import product
from typing import Any

from command import carry_out, command_line, keeps_outcomes, results_file
from images import data_of, takes_images
from measuring import machine
from rich.console import Console
from rich.table import Table
from seeded import best_of, told
from side_by_side import counted, side_by_side, taught, working_folder
from ways_figure import draw
from ways_training import DISTILLED, METHODS, Bench, Job, Setting

from kdsearch.methods import UNDISTILLED
from kdsearch.results.finalists import interval

QUICK = Setting(samples=1_000, test=200, epochs=4, widths=(0.25, 0.5), rates=(0.1,), seeds=2)

Run = dict[str, Any]


def measure(options: Namespace, setting: Setting, console: Console) -> dict[str, Any]:
    """Train everything; the figures, and what they were made of."""
    with working_folder(options.keep) as folder:
        data = data_of(options.data, setting.samples, setting.test)
        spec = taught(lambda: setting.spec(data, folder), folder)
        kinds = list(product(setting.cases, METHODS))
        middle = setting.widths[len(setting.widths) // 2]
        with side_by_side(Bench, (setting, spec), "train", folder) as train:
            jobs = [Job(*kind, middle, 0, lr) for kind in kinds for lr in setting.rates]
            tried = counted(train(jobs), len(jobs), console)
            rates = best_of([run | {"kind": _kind(run)} for run in tried], "kind")
            jobs = [
                Job(case, method, width, seed, rates[f"{case} {method}"]["lr"])
                for case, method in kinds
                for width in setting.widths
                for seed in range(1, setting.seeds + 1)
            ]
            runs = counted(train(jobs), len(jobs), console)
    plain = {str(case): str(case.plain) for case in setting.cases}
    rows = list(summarised(runs + list(_int8(runs)), plain))
    found = {"rows": rows, "runs": runs, "tried": tried, "machine": machine()}
    if options.figure is not None:
        draw(rows, options.figure)
    return found


def _kind(run: Run) -> str:
    return f"{run['case']} {run['method']}"


def _int8(runs: Sequence[Run]) -> Iterator[Run]:
    """The students without a way as they are after quantization."""
    for run in runs:
        if "int8" in run:
            case = run["case"].replace("none", "int8")
            yield run | {"case": case, "test": run["int8"], "bytes": run["int8_bytes"]}


def summarised(runs: Sequence[Run], plain: dict[str, str]) -> Iterator[dict[str, Any]]:
    """A row for each way and width, over the seeds that did not diverge.

    Args:
        runs: The trainings.
        plain: The case of the same students without a way, by the case's name.
    """
    known = {(r["case"], r["method"], r["width"], r["seed"]): r for r in runs if "test" in r}
    seeds = sorted({run["seed"] for run in runs})
    for case, width in dict.fromkeys((run["case"], run["width"]) for run in runs):
        row: dict[str, Any] = {"case": case, "width": width}
        for method in METHODS:
            own = {s: r for s in seeds if (r := known.get((case, method, width, s)))}
            if not own:
                continue
            _, one = next(iter(own.items()))
            row |= {name: one[name] for name in ("bytes", "parameters", "macs", "compute")}
            row |= _figures(method, [run["test"] for run in own.values()])
            row[f"{method}_lr"], row[f"{method}_seeds"] = one["lr"], len(own)
            of_plain = plain.get(case, case.replace("int8", "none"))
            for name, other in (
                ("lost", (of_plain, method, width)),
                ("gain", (case, UNDISTILLED, width)),
            ):
                pairs = [(r, known[(*other, s)]) for s, r in own.items() if (*other, s) in known]
                sign = -1 if name == "lost" else 1
                found = [sign * (r["test"] - before["test"]) for r, before in pairs]
                if found and other != (case, method, width):
                    key = f"{method}_lost" if name == "lost" else name
                    row |= _figures(key, found)
        yield row


def _figures(name: str, values: Sequence[float]) -> dict[str, float]:
    found = interval(list(values))
    return {name: found.mean, f"{name}_ci": found.half_width}


def table(found: dict[str, Any]) -> Table:
    """The figures for a terminal, in percent and points."""
    made = Table(box=None, header_style="bold")
    columns = ("way", "width", "bytes", "×", "alone", "lost", "distilled", "lost", "gain")
    for column in columns:
        made.add_column(column, justify="left" if column == "way" else "right", no_wrap=True)
    for row in sorted(found["rows"], key=lambda row: (row["case"].startswith("mlp"), row["width"])):
        made.add_row(
            row["case"],
            f"{row['width']:g}",
            f"{row['bytes']:,}",
            f"{row['compute']:.1f}",
            *(
                told(row, name, sign) if name in row else ""
                for name, sign in (
                    (UNDISTILLED, ""),
                    (f"{UNDISTILLED}_lost", "+"),
                    (DISTILLED, ""),
                    (f"{DISTILLED}_lost", "+"),
                    ("gain", "+"),
                )
            ),
        )
    return made


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark from the command line."""
    parser = command_line(__doc__, quick="fewer images, epochs, widths and seeds")
    takes_images(parser)
    parser.add_argument("--figure", type=results_file, metavar="PATH", help="file of the figure")
    keeps_outcomes(parser)
    options = parser.parse_args(arguments)
    setting = QUICK if options.quick else Setting()
    carry_out(options.json, partial(measure, options, setting), table)


if __name__ == "__main__":
    main()
