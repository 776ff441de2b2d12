"""What is a pretrained network worth, as a teacher and as the start of its narrower students?

EfficientNet-Lite0 with the weights of ImageNet, fine-tuned on some images of CIFAR-10, against the
same network from scratch. Then students of half its width, as long and on the same images: from
random weights, cut from the weights of ImageNet, and cut from the fine-tuned teacher, each with and
without distillation. Learning rates are chosen on validation, by one training of each start.

    python tests/benchmarks/pretrained.py CIFAR-10-images.zip --json pretrained.json

The archive holds ``…/train/CLASS/*`` and ``…/test/CLASS/*``. The extras ``bench``, ``timm`` and
``prune`` are needed. With ``--quick`` fewer images, epochs and seeds. It takes an hour and more:
with ``--keep FOLDER`` it goes on where it was cut off.
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from shutil import copyfile
from typing import Any

from command import carry_out, command_line, keeps_outcomes
from pretrained_training import (
    BEST,
    FAMILY,
    IMAGENET,
    METHODS,
    QUICK,
    STARTS,
    Bench,
    Setting,
    imagenet_weights,
    trained,
)
from rich.console import Console
from rich.table import Table
from seeded import PERCENT, best_of, told
from side_by_side import side_by_side, working_folder

from kdsearch.methods import UNDISTILLED
from kdsearch.models import measure_config, of_images
from kdsearch.results.finalists import interval


def measure(options: Namespace, setting: Setting, console: Console) -> dict[str, Any]:
    """Train everything; scores of the teachers, and of every start and method."""
    with working_folder(options.keep) as folder:
        imagenet_weights(folder / IMAGENET)
        arguments = (setting, options.archive, folder)
        with side_by_side(Bench, arguments, "teach", folder) as teach:
            starts = ("random", "pretrained")
            teachers = best_of(teach((s, lr) for s in starts for lr in setting.rates), "start")
        for start, run in teachers.items():
            console.print(f"teacher, {start}: {run['test']:.2%} at {run['lr']:g}")
        copyfile(trained(folder, "pretrained", teachers["pretrained"]["lr"]), folder / BEST)
        with side_by_side(Bench, arguments, "train", folder) as train:
            swept = train((s, UNDISTILLED, lr, 0) for s in STARTS for lr in setting.rates)
            rates = {start: run["lr"] for start, run in best_of(swept, "start").items()}
            console.print(f"learning rates of the students: {rates}")
            seeds = range(1, setting.seeds + 1)
            runs = list(
                train((s, m, rates[s], seed) for s in STARTS for m in METHODS for seed in seeds)
            )
    return {"teachers": teachers, "students": rows(runs), "sizes": sizes(setting), "runs": runs}


def rows(runs: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Means over the seeds with 95 % intervals; gains are paired by seed."""
    found = []
    for start in STARTS:
        plain = [r["test"] for r in runs if (r["start"], r["method"]) == (start, UNDISTILLED)]
        random = [r["test"] for r in runs if (r["start"], r["method"]) == ("random", UNDISTILLED)]
        for method in METHODS:
            own = [run for run in runs if (run["start"], run["method"]) == (start, method)]
            scores = [run["test"] for run in own]
            row = {"start": start, "method": method, "lr": own[0]["lr"], "seeds": len(own)}
            for name, base in (("over_plain", plain), ("over_random", random)):
                gain = interval([a - b for a, b in zip(scores, base, strict=True)])
                row |= {name: gain.mean, f"{name}_ci": gain.half_width}
            score, seconds = interval(scores), interval([run["seconds"] for run in own]).mean
            found.append(
                row | {"test": score.mean, "test_ci": score.half_width, "seconds": seconds}
            )
    return found


def sizes(setting: Setting) -> dict[str, dict[str, int]]:
    """Parameters and multiply-accumulates of teacher and student."""
    images = of_images((3, 32, 32))
    found = {}
    for name, width in (("teacher", 1.0), ("student", setting.width)):
        size = measure_config(setting.model(width, None), images, 10)
        found[name] = {"parameters": size.parameters, "macs": size.macs}
    return found


def table(found: dict[str, Any]) -> Table:
    """The figures for a terminal."""
    made = Table(box=None, header_style="bold", title=FAMILY)
    made.add_column("network")
    for column in ("test accuracy", "over its baseline", "over random", "rate", "s"):
        made.add_column(column, justify="right")
    for start, run in found["teachers"].items():
        made.add_row(
            f"teacher, {start}",
            f"{PERCENT * run['test']:.2f}",
            "",
            "",
            f"{run['lr']:g}",
            f"{run['seconds']:.0f}",
        )
    for row in found["students"]:
        gains = ("over_plain" if row["method"] != UNDISTILLED else "", "over_random")
        made.add_row(
            f"student, {row['start']}, {row['method']}",
            told(row, "test"),
            told(row, gains[0], "+") if gains[0] else "",
            told(row, gains[1], "+") if (row["start"], row["method"]) != first() else "",
            f"{row['lr']:g}",
            f"{row['seconds']:.0f}",
        )
    return made


def first() -> tuple[str, str]:
    """The student with which all are compared."""
    return STARTS[0], METHODS[0]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark from the command line."""
    parser = command_line(__doc__, quick="fewer images, epochs and seeds")
    keeps_outcomes(parser)
    parser.add_argument("archive", type=Path, help="CIFAR-10 as JPEG files in a zip")
    options = parser.parse_args(arguments)
    if not options.archive.is_file():
        parser.error(f"there is no file {options.archive}; give the archive of CIFAR-10")
    setting = QUICK if options.quick else Setting()
    carry_out(options.json, partial(measure, options, setting), table)


if __name__ == "__main__":
    main()
