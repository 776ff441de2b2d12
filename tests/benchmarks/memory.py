"""What a second trial at a time costs of a node's memory: data and cache are there once.

The same search of kdsearch runs with one trial and with two trials at a time, over a data set and a
cache that are large beside a trial. While the trials are in their last epochs, so that nearly all
of both has been read, the proportional set size (PSS: private pages, and the share of each shared
one) of every process of the search is summed: the driver, Ray's with its object store, the trials.
So each page of memory is counted once.

``node_memory_over_one_trial`` is the sum with two trials over that with one. Beside it stands what
it would be if a trial had data and cache for itself. The parts are told apart by what is mapped:
the object store (/dev/shm), the files of the cache, other files (libraries), and memory that
belongs to one process alone. Pages of a file that no process maps are the kernel's to drop, and do
not count.

    python tests/benchmarks/memory.py --json memory.json

With ``--quick`` a quarter of the images, and one round. The images are noise.
"""

from __future__ import annotations

import os
import statistics
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from command import carry_out, command_line
from measuring import machine, ratio, shown
from memory_searches import QUICK, Held, Setting, build_cache, weigh_search
from memory_weighing import KINDS, ROLES, Weights, total
from rich.console import Console, Group
from rich.table import Table

MEGABYTE = 1e6


def run(setting: Setting, console: Console) -> dict[str, Any]:
    """Measure searches with one and two trials, in turn."""
    found: dict[str, Any] = {"machine": machine(), "images": "noise"}
    weights: dict[int, list[Weights]] = {1: [], 2: []}
    with tempfile.TemporaryDirectory(prefix="memory") as name:
        folder = Path(name).resolve()
        held = build_cache(setting.spec(folder, "build", 1))
        for number in range(setting.rounds):
            for concurrent, known in weights.items():
                console.print(f"round {number + 1}, {concurrent} at a time …")
                spec = setting.spec(folder, f"round-{number}-{concurrent}", concurrent)
                known.append(weigh_search(spec, held.folder))
    return found | figures(weights, held)


def figures(weights: dict[int, list[Weights]], held: Held) -> dict[str, Any]:
    """Ratios and medians of what was weighed.

    Args:
        weights: Of each round, by trials at a time.
        held: What all trials read.
    """
    sums = {n: [total(each) for each in known] for n, known in weights.items()}
    apart = [two + held.data + held.cache for two in sums[2]]
    return {
        "node_memory_over_one_trial": ratio(sums[2], sums[1]),
        "if_data_and_cache_were_held_per_trial": ratio(apart, sums[1]),
        "data_bytes": held.data,
        "cache_bytes": held.cache,
        "node_bytes": {str(n): statistics.median(values) for n, values in sums.items()},
        "parts": {str(n): _parts(known) for n, known in weights.items()},
    }


def _parts(known: Sequence[Weights]) -> dict[str, dict[str, float]]:
    """Bytes by role and kind."""
    return {
        role: {kind: statistics.median(total(each, role, kind) for each in known) for kind in KINDS}
        for role in ROLES
    }


def show(found: dict[str, Any]) -> Group:
    """The table, and under it what the ratio is made of."""
    ratios = (
        f"node_memory_over_one_trial {shown(found['node_memory_over_one_trial'])}",
        f"if each trial held both: {shown(found['if_data_and_cache_were_held_per_trial'])}",
    )
    sizes = (found[key] / MEGABYTE for key in ("data_bytes", "cache_bytes"))
    return Group(table(found), "data {:,.0f} MB, cache {:,.0f} MB".format(*sizes), *ratios)


def table(found: dict[str, Any]) -> Table:
    """Megabytes by process and kind of memory, with one trial and with two."""
    made = Table(box=None, header_style="bold", title="proportional set size, MB")
    for column in ("", *(f"{n} at a time" for n in found["parts"]), "of one"):
        made.add_column(column, justify="right" if column else "left")

    def row(title: str, sizes: Sequence[float]) -> None:
        one, two = sizes
        each = f"{two / one:.2f}" if one > MEGABYTE else ""
        made.add_row(title, *(f"{size / MEGABYTE:,.0f}" for size in sizes), each)

    for role in ROLES:
        for kind in KINDS:
            row(f"{role}: {kind}", [parts[role][kind] for parts in found["parts"].values()])
    for kind in KINDS:
        by_role = found["parts"].values()
        row(f"all: {kind}", [sum(parts[role][kind] for role in ROLES) for parts in by_role])
    row("the node", list(found["node_bytes"].values()))
    return made


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark from the command line."""
    parser = command_line(__doc__, quick="a quarter of the images, one round")
    options = parser.parse_args(arguments)
    if not Path("/proc/self/smaps").is_file():
        parser.error("memory is read from /proc/PID/smaps, which this system does not have")
    if len(os.sched_getaffinity(0)) < 2:
        parser.error("two trials at a time need two cores")
    carry_out(options.json, partial(run, QUICK if options.quick else Setting()), show)


if __name__ == "__main__":
    main()
