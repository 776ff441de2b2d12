"""What a training step of a trial costs over a bare PyTorch loop that has no teacher at all.

Side by side, in turn, one epoch at a time:

- *trial*: kdsearch's trainer with the method ``kd`` over a cache that is built already: views are
  augmented (crop and flip), the teacher's answers are read from their file, both losses count.
- *bare*: the same student on normalised float32 images that lie in memory, drawn in random order
  without augmentation, cross-entropy alone, SGD with Nesterov momentum, PyTorch's defaults.
- *tuned*: the same with the trial's own memory format, precision and optimiser, so that the ratio
  is not won by these alone.

``cached_over_bare`` and ``cached_over_tuned_bare`` are medians of the ratios of the rounds, over
whole epochs without evaluation: what a trial does once an epoch (the order, the hash of its views,
the checksum of the cache's file) counts. The images are noise, and a small network of random
weights answered for the cache: neither changes what a step takes.

    python tests/benchmarks/step.py --json step.json

With ``--quick`` fewer rounds; with ``--profile`` also where the time of a step goes. With
``--device cuda`` on a GPU, where also the student alone, the compiled student and the live teacher
are measured, and 1, 2 and 4 processes that share the GPU.
"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from command import carry_out, command_line
from measuring import machine, ratio, shown
from rich.console import Console
from rich.table import Table
from step_cases import BATCH, CASES, Case
from step_clocks import Clock, measure, parts_of
from step_contenders import Ways
from step_sharing import SHARING, sharing

OVER = {"cached_over_bare": "bare", "cached_over_tuned_bare": "tuned"}
"""The ratios, and under what the trial's time stands in each."""


def compare(case: Case, device: torch.device, rounds: int, profile: bool) -> dict[str, Any]:
    """All figures of one student that need one process."""
    with tempfile.TemporaryDirectory(prefix="step") as folder:
        # an epoch to warm up, and one more in which the parts are timed
        contenders = Ways(case, device, rounds + 2, Path(folder)).contenders()
        times = measure(contenders, rounds, Clock(device))
        found = _speeds(times["wall"], case.steps)
        for key, other in OVER.items():
            found[key] = ratio(times["wall"]["trial"], times["wall"][other])
            if device.type == "cpu":
                found[key]["cpu_time"] = ratio(times["cpu"]["trial"], times["cpu"][other])
        if profile:
            names = ("trial", *OVER.values())
            found["parts"] = {n: parts_of(contenders[n], case.steps, device) for n in names}
    return found


def _speeds(walls: dict[str, list[float]], steps: int) -> dict[str, Any]:
    """Milliseconds of a step and images a second, by contender."""
    seconds = {name: statistics.median(values) / steps for name, values in walls.items()}
    return {
        "milliseconds": {name: 1000 * each for name, each in seconds.items()},
        "images_per_second": {name: BATCH / each for name, each in seconds.items()},
    }


def run(device: str, quick: bool, profile: bool, console: Console) -> dict[str, Any]:
    """Measure every student on a device."""
    place = torch.device(device)
    found: dict[str, Any] = {
        "device": torch.cuda.get_device_name(place) if device == "cuda" else "cpu",
        "machine": machine(),
        "images": "noise",
        "batch": BATCH,
    }
    for case in CASES[device]:
        console.print(f"{case.name} …")
        figures = compare(case, place, 6 if quick else 20, profile)
        if device == "cuda":
            rates = {str(n): sharing(case, device, n, 4 if quick else 16) for n in SHARING}
            figures["images_per_second_sharing_the_gpu"] = rates
        for key, figure in figures.items():
            found.setdefault(key, {})[case.name] = figure
    return found


def table(found: dict[str, Any]) -> Table:
    """The ratios, and what they are made of."""
    names = list(found["cached_over_bare"])
    made = Table(box=None, header_style="bold", title=f"a training step, {found['device']}")
    made.add_column("")
    for name in names:
        made.add_column(name, justify="right")

    def row(title: str, cells: Iterator[str]) -> None:
        made.add_row(title, *cells)

    for key in OVER:
        row(key, (shown(found[key][name]) for name in names))
        if "cpu_time" in found[key][names[0]]:
            row("  in CPU time", (shown(found[key][name]["cpu_time"]) for name in names))
    for way in found["milliseconds"][names[0]]:
        row(f"{way}, ms", (f"{found['milliseconds'][name][way]:.2f}" for name in names))
        row("  images/s", (f"{found['images_per_second'][name][way]:,.0f}" for name in names))
    rates = found.get("images_per_second_sharing_the_gpu", {})
    for count in SHARING if rates else ():
        row(f"{count} processes, images/s", (f"{rates[name][str(count)]:,.0f}" for name in names))
    parts = found.get("parts", {})
    for way, of_way in parts[names[0]].items() if parts else ():
        for part in of_way:
            row(f"{way}: {part}, ms", (f"{parts[name][way][part]:.3f}" for name in names))
    return made


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark from the command line."""
    parser = command_line(__doc__, quick="fewer rounds")
    parser.add_argument("--profile", action="store_true", help="also time the parts of a step")
    parser.add_argument("--device", choices=tuple(CASES), default="cpu", help="where to train")
    options = parser.parse_args(arguments)
    if options.device == "cuda" and not torch.cuda.is_available():
        parser.error("PyTorch finds no GPU here; leave --device out")
    torch.set_num_threads(1)
    carry_out(options.json, partial(run, options.device, options.quick, options.profile), table)


if __name__ == "__main__":
    main()
