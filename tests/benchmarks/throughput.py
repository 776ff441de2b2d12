"""What kdsearch saves over distillation as it is ordinarily written: by epoch, and by search.

The ordinary loop takes each image through PIL and torchvision's transforms (crop, flip,
``ToTensor``, ``Normalize``) in a ``DataLoader`` with two worker processes, asks the live teacher at
every step, and knows PyTorch's defaults alone. Teacher resnet32x4, student resnet8x4, images of
32×32, batches of 64; both sides evaluate on the same validation samples after each epoch.

``epochs_speedup``, by cores: epochs a second of trials of kdsearch, with the teacher's answers
kept, over those of the ordinary loop at its best. On one core all processes, the loader's too,
share it, and the ordinary loop has two loader processes or none; on two, kdsearch trains two
students side by side, and the ordinary loop one with two threads or two with one. The first epoch,
and with it every start, is not counted. In ``epochs_speedup_with_building`` the trials of one
search share the time that the cache takes.

``search_speedup``: wall clock of a whole search of 20 trials of 2 epochs, from the start of its
process to the end, Ray's start and the building of the cache counted, over kdsearch's. Both sides
try the same configurations, two at a time on two cores: kdsearch as ``StudyRun`` (without finalists
and MLflow), the ordinary loop under Ray Tune with ``OptunaSearch``, or one trial after another in
one process with two threads, whichever is faster. A search is long and is measured once, so its
ratio has no interval.

``start_seconds`` tells how much of kdsearch's wall clock is start: from the start of the process to
that of the first trial, that is Python's imports, Ray, the plan, and an actor with its own imports.
It is the same for a search of any length: some 20 s of four minutes here, and next to nothing of
the hours of a real search. So the ratio here is lower than that of a real search, which
``epochs_speedup_with_building`` on two cores tells. The opponents' own start is in their times.

    python tests/benchmarks/throughput.py --json throughput.json --data CIFAR-10-images.zip

About half an hour on two cores. With ``--quick`` some minutes: fewer images, fewer rounds, and
a search of 6 trials, of which the start is then most. Without ``--data`` the images are noise,
which takes the same time.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from command import carry_out, command_line
from measuring import machine, shown
from rich.console import Console
from rich.table import Table
from throughput_epochs import epochs_figures, measure_epochs
from throughput_searches import measure_searches
from throughput_setting import QUICK, Setting


def run(setting: Setting, archive: Path | None, console: Console) -> dict[str, Any]:
    """Measure everything."""
    found: dict[str, Any] = {
        "machine": machine(),
        "images": "noise" if archive is None else archive.name,
        "images_per_epoch": setting.epoch_images,
    }
    available = sorted(os.sched_getaffinity(0))
    for count in (1, 2)[: len(available)]:
        console.print(f"epochs on {count} core{'s' * (count > 1)} …")
        with tempfile.TemporaryDirectory(prefix="throughput") as folder:
            times = measure_epochs(setting, Path(folder), archive, set(available[:count]))
        for key, figure in epochs_figures(setting, times, count).items():
            found.setdefault(key, {})[str(count)] = figure
    console.print(f"searches of {setting.trials} trials …")
    with tempfile.TemporaryDirectory(prefix="throughput") as folder:
        cores = set(available[:2])
        found["search_speedup"] = measure_searches(setting, Path(folder), archive, cores)
    return found


def table(found: dict[str, Any]) -> Table:
    """The speedups and the seconds that they come from."""
    made = Table(box=None, header_style="bold")
    for column in ("", "kdsearch is faster by", "seconds"):
        made.add_column(column)
    for cores, figure in found["epochs_speedup"].items():
        building = found["epochs_speedup_with_building"][cores]
        title = f"an epoch of {found['images_per_epoch']:,} images"
        title += f"\non {cores} core{'s' * (cores > '1')}"
        told = f"{shown(figure)}\nwith building {shown(building)}"
        made.add_row(title, told, _lines(found["seconds_per_epoch"][cores]))
    search = found["search_speedup"]
    title = f"{search['trials']} trials of {search['epochs']} epochs"
    title += f"\nof {search['images']:,} images"
    start = {"kdsearch's start": search["start_seconds"]}
    made.add_row(title, shown(search), _lines(search["seconds"] | start))
    return made


def _lines(seconds: dict[str, float]) -> str:
    return "\n".join(f"{name} {value:.2f}" for name, value in seconds.items())


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark from the command line."""
    parser = command_line(__doc__, quick="fewer images, rounds and trials")
    parser.add_argument("--data", type=Path, help="zip of train/CLASS/* and test/CLASS/* images")
    options = parser.parse_args(arguments)
    if options.data is not None and not options.data.is_file():
        parser.error(f"{options.data} is not there; give a zip of images, or leave --data out")
    setting = QUICK if options.quick else Setting()
    carry_out(options.json, partial(run, setting, options.data), table)


if __name__ == "__main__":
    main()
