"""CPU seconds of commands that need no PyTorch, and the seconds until ``kdsearch run`` says a word.

Run it as ``python tests/benchmarks/terminal.py --study studies/digits --spec
search_spaces/digits.yaml``: the study has ended, and its name is not that of the spec's.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from command import carry_out, command_line
from measuring import machine, median_interval
from rich.console import Console
from rich.table import Table

PROGRAM = (sys.executable, "-m", "kdsearch.cli")
ROUNDS = 9


def cpu_seconds(words: tuple[str, ...]) -> float:
    """User and system time of a command."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([*PROGRAM, *words], stdout=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def first_output(spec: Path) -> float:
    """Seconds until ``kdsearch run`` writes its first line; it is ended then."""
    start = time.perf_counter()
    words = ("run", str(spec), "--set", "study.name=first-output")
    with subprocess.Popen(
        [*PROGRAM, *words], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        seconds = time.perf_counter() - start
        process.kill()
    assert line.startswith(b"study "), line
    return seconds


def measure(study: Path, spec: Path, rounds: int) -> dict[str, Any]:
    """Every figure, the commands taken in turns."""
    commands = {
        "-h": ("-h",),
        "--version": ("--version",),
        "front": ("front", str(study)),
        "ranking": ("ranking", str(study)),
        "methods": ("methods",),
        "methods kd+at": ("methods", "kd+at"),
        "models": ("models",),
    }
    seconds: dict[str, list[float]] = {name: [] for name in (*commands, "run: first output")}
    for _ in range(rounds):
        for name, words in commands.items():
            seconds[name].append(cpu_seconds(words))
        seconds["run: first output"].append(first_output(spec))
    return {"machine": machine(), "seconds": seconds}


def show(found: dict[str, Any]) -> Table:
    table = Table("command", "median s", "95 % interval", box=None)
    for name, values in found["seconds"].items():
        middle, low, high = median_interval(values)
        table.add_row(name, f"{middle:.2f}", f"{low:.2f} to {high:.2f}")
    return table


def main() -> None:
    parser = command_line(__doc__ or "", quick="a single round")
    parser.add_argument("--study", type=Path, required=True, help="folder of a study that ended")
    parser.add_argument("--spec", type=Path, required=True, help="a search-space file")
    given = parser.parse_args()
    rounds = 1 if given.quick else ROUNDS

    def on(_: Console) -> dict[str, Any]:
        return measure(given.study, given.spec, rounds)

    carry_out(given.json, on, show)


if __name__ == "__main__":
    main()
