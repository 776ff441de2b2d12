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

With ``--quick`` a quarter of the pictures, and one round. The pictures are noise.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import re
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from measuring import keep_answers, machine, ratio, run_search, shown, study_spec
from rich.console import Console
from rich.table import Table

from kdsearch.search.caching import plan_caches, prepare_caches
from kdsearch.search.events import Observer
from kdsearch.search.plan import make_plan
from kdsearch.search.record import TrialRecord
from kdsearch.spec.study import StudySpec
from kdsearch.training.cache import CachedTeacher
from kdsearch.training.teacher import Teacher

SHAPE, CLASSES = (3, 64, 64), 250
EPOCHS = 12
READ = EPOCHS - 2
"""Finished epochs of every trial from which on it is measured: nearly all of the cache is read."""

MEGABYTE = 1e6
KINDS = ("object store", "cache", "own memory", "other files")
ROLES = ("driver", "trials", "Ray")


@dataclass(frozen=True)
class Setting:
    """What is trained on.

    Attributes:
        pictures: Training and validation pictures, of 12,288 bytes each.
        rounds: Searches with one and with two trials.
    """

    pictures: int = 34_000
    rounds: int = 3

    def spec(self, folder: Path, name: str, concurrent: int) -> StudySpec:
        """A search of as many trials as run at a time, over small networks."""
        return study_spec(
            folder,
            name,
            {"samples": self.pictures, "test": CLASSES, "shape": SHAPE, "classes": CLASSES},
            data={"validation": 0.05, "augment": {"crop": 4, "flip": True}},
            teacher={"family": "convnet", "width": 0.25, "depth": 2},
            students=[{"family": "convnet", "width": 0.25, "depth": 2}],
            methods={"kd": {"temperature": 4, "weight": 0.9}},
            training={"epochs": EPOCHS, "batch_size": 128, "lr": {"low": 0.01, "high": 0.02}},
            search={"trials": concurrent},
            resources={"concurrent": concurrent},
        )


QUICK = Setting(pictures=8_500, rounds=1)


class Progress(Observer):
    """Tells another process how far each trial is."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def trial_epoch(self, record: TrialRecord) -> None:
        self._connection.send((record.number, len(record.epochs)))

    def trial_ended(self, record: TrialRecord) -> None:
        if record.reason is not None:
            raise RuntimeError(f"trial {record.number} failed: {record.reason}")
        self._connection.send((record.number, EPOCHS))


def _search(spec: StudySpec, connection: Any) -> None:
    rates = (0.01, 0.02)[: spec.search.trials]
    run_search(spec, [{"method": "kd", "lr": rate} for rate in rates], Progress(connection))
    connection.close()


def build_cache(spec: StudySpec) -> dict[str, Any]:
    """Have all answers kept that the searches will read; where, and the bytes of data and cache."""
    plan = make_plan(spec)
    teacher = Teacher(plan.given_teachers["teacher"].build(plan.data))
    caches = plan_caches(plan, {"teacher": teacher})
    prepare_caches(caches, spec.cache)
    of_training = caches.teachers["teacher"].plan
    device = torch.device("cpu")
    cached = CachedTeacher(of_training.builder(teacher, plan.data, device))
    views = of_training.subject.views(plan.data, device)
    for epoch in range(of_training.subject.epochs):
        keep_answers(cached, views, epoch)
    splits = (plan.data.train, plan.data.validation, plan.data.test)
    return {
        "folder": str(caches.folder.resolve()),
        "data": sum(split.nbytes for split in splits),
        "cache": caches.bytes,
    }


def processes_below(root: int) -> list[int]:
    """A process and all that descend from it."""
    parents = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
            except OSError:  # it ended meanwhile
                continue
            parents[int(folder.name)] = int(fields[1])
    found, last = {root}, 0
    while len(found) > last:
        last = len(found)
        found |= {process for process, parent in parents.items() if parent in found}
    return sorted(found)


def mapped(process: int, cache: str) -> Iterator[tuple[str, int]]:
    """Kind and proportional bytes of each mapping of a process."""
    kind = ""
    for line in Path(f"/proc/{process}/smaps").read_text().splitlines():
        if re.match(r"[0-9a-f]+-[0-9a-f]+ ", line):
            kind = _kind("".join(line.split(maxsplit=5)[5:]), cache)
        elif line.startswith("Pss:"):
            yield kind, 1024 * int(line.split()[1])


def _kind(path: str, cache: str) -> str:
    if path.startswith("/dev/shm/"):
        return "object store"
    if path.startswith(cache):
        return "cache"
    return "other files" if path.startswith("/") else "own memory"


def _role(process: int, driver: int) -> str:
    if process == driver:
        return "driver"
    command = Path(f"/proc/{process}/cmdline").read_bytes().decode(errors="replace")
    # Ray Tune's own name for the trainable, and the one of kdsearch
    names = ("ray::ResourceTrainable", "ray::StudentTrial")
    return "trials" if command.startswith(names) else "Ray"


def weigh(driver: int, cache: str) -> dict[tuple[str, str], int]:
    """Proportional bytes of a search by role of the process and kind of memory."""
    found: Counter[tuple[str, str]] = Counter()
    for process in processes_below(driver):
        try:
            role = _role(process, driver)
            for kind, size in mapped(process, cache):
                found[role, kind] += size
        except OSError:  # it ended meanwhile
            continue
    return dict(found)


def measure(spec: StudySpec, cache: str) -> dict[tuple[str, str], float]:
    """Bytes of a running search while all its trials are in their last epochs, by role and kind.

    Raises:
        RuntimeError: The search failed, or was over before it could be measured.
    """
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_search, args=(spec, there))
    process.start()
    there.close()
    assert process.pid is not None
    epochs = dict.fromkeys(range(spec.search.trials), 0)
    samples = []
    try:
        while max(epochs.values()) < EPOCHS:
            while here.poll(0.2):
                number, done = here.recv()
                epochs[number] = done
            if min(epochs.values()) >= READ:
                samples.append(weigh(process.pid, cache))
    except EOFError:
        pass  # the search is over
    process.join()
    if process.exitcode or not samples:
        raise RuntimeError("the search failed or was too short to be measured; see above")
    keys = {key for sample in samples for key in sample}
    return {key: statistics.median(sample.get(key, 0) for sample in samples) for key in keys}


def total(weights: dict[tuple[str, str], float], role: str = "", kind: str = "") -> float:
    """Sum over some roles and kinds."""
    return sum(
        size
        for (of, what), size in weights.items()
        if (not role or of == role) and (not kind or what == kind)
    )


def run(setting: Setting, console: Console) -> dict[str, Any]:
    """Measure searches with one and two trials, in turn."""
    found: dict[str, Any] = {"machine": machine(), "pictures": "noise"}
    weights: dict[int, list[dict[tuple[str, str], float]]] = {1: [], 2: []}
    with tempfile.TemporaryDirectory(prefix="memory") as name:
        folder = Path(name).resolve()
        facts = _built(setting.spec(folder, "build", 1))
        for number in range(setting.rounds):
            for concurrent, known in weights.items():
                console.print(f"round {number + 1}, {concurrent} at a time …", highlight=False)
                spec = setting.spec(folder, f"round-{number}-{concurrent}", concurrent)
                known.append(measure(spec, facts["folder"]))
    sums = {n: [total(each) for each in known] for n, known in weights.items()}
    found["node_memory_over_one_trial"] = ratio(sums[2], sums[1])
    copied = facts["data"] + facts["cache"]
    apart = [two + copied for two in sums[2]]
    found["if_data_and_cache_were_held_per_trial"] = ratio(apart, sums[1])
    found["data_bytes"], found["cache_bytes"] = facts["data"], facts["cache"]
    found["node_bytes"] = {str(n): statistics.median(values) for n, values in sums.items()}
    found["parts"] = {
        str(n): {
            role: {
                kind: statistics.median(total(each, role, kind) for each in known) for kind in KINDS
            }
            for role in ROLES
        }
        for n, known in weights.items()
    }
    return found


def _built(spec: StudySpec) -> dict[str, Any]:
    """What :func:`build_cache` says, from a process that gives its memory back."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        return pool.apply(build_cache, (spec,))


def table(found: dict[str, Any]) -> Table:
    """Megabytes by process and kind of memory, with one trial and with two."""
    shown_table = Table(box=None, header_style="bold", title="proportional set size, MB")
    for column in ("", *(f"{n} at a time" for n in found["parts"]), "of one"):
        shown_table.add_column(column, justify="right" if column else "left")

    def row(title: str, sizes: Sequence[float]) -> None:
        one, two = sizes
        each = f"{two / one:.2f}" if one > MEGABYTE else ""
        shown_table.add_row(title, *(f"{size / MEGABYTE:,.0f}" for size in sizes), each)

    for role in ROLES:
        for kind in KINDS:
            row(f"{role}: {kind}", [parts[role][kind] for parts in found["parts"].values()])
    for kind in KINDS:
        by_role = found["parts"].values()
        row(f"all: {kind}", [sum(parts[role][kind] for role in ROLES) for parts in by_role])
    row("the node", list(found["node_bytes"].values()))
    return shown_table


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a quarter of the data, one round")
    parser.add_argument("--json", type=Path, help="where the results go")
    options = parser.parse_args(arguments)
    if not Path("/proc/self/smaps").is_file():
        parser.error("memory is read from /proc/PID/smaps, which this system does not have")
    if len(os.sched_getaffinity(0)) < 2:
        parser.error("two trials at a time need two cores")
    start = time.perf_counter()
    found = run(QUICK if options.quick else Setting(), Console(file=sys.stderr))
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n")
    console = Console(width=110)
    console.print(table(found))
    console.print(
        f"data {found['data_bytes'] / MEGABYTE:,.0f} MB, cache "
        f"{found['cache_bytes'] / MEGABYTE:,.0f} MB\n"
        f"node_memory_over_one_trial {shown(found['node_memory_over_one_trial'])}; if each trial "
        f"held both: {shown(found['if_data_and_cache_were_held_per_trial'])}",
        highlight=False,
    )
    print(f"{(time.perf_counter() - start) / 60:.1f} minutes")


if __name__ == "__main__":
    main()
