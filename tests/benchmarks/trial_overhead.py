"""What a trial costs beside its training: seconds, and CPU time of the driver, by number of trials.

The trials of ``search_spaces/digits.yaml`` take the way of a real study: Optuna's TPE over the
conditional space, sizes and limits, Ray Tune on reused actors, both journals, the MLflow recorder.
Only the epoch is left out: a trial's one step reports a made-up accuracy at once.

    python tests/benchmarks/trial_overhead.py --json trial_overhead.json

With ``--quick`` 10 and 100 trials, fewer repeats; with ``--profile`` also where the main thread of
the driver spends its time, by cProfile.

``seconds_per_trial`` is the wall clock × the trials at a time / the number of trials: how long a
slot is taken by a trial that trains nothing. It and ``driver_cpu_ms_per_trial`` (all threads of the
driver) count from the end of an early trial to the end of the last; the start of Ray and of the
actors is told apart.
"""

from __future__ import annotations

import cProfile
import pstats
import statistics
import tempfile
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from command import carry_out, command_line
from rich.console import Console
from rich.table import Table
from trial_overhead_clocks import START
from trial_overhead_studies import run_trials

from kdsearch.api import quieten


def run(counts: Sequence[int], repeats: dict[int, int], console: Console) -> dict[str, Any]:
    """Every number of trials, with the recorder and without; medians of the repeats.

    Returns:
        Each figure as an object keyed by the number of trials; those of a user's run on top, those
        without the recorder under ``without_recorder``.
    """
    found = {}
    for kind, record in (("with_recorder", True), ("without_recorder", False)):
        runs = {}
        for trials in counts:
            measured = runs[str(trials)] = repeated(trials, repeats.get(trials, 1), record)
            console.print(
                f"{kind}, {trials} trials: {measured['seconds_per_trial']:.3f} s and "
                f"{measured['driver_cpu_ms_per_trial']:.1f} ms of the driver a trial"
            )
        keys = next(iter(runs.values())).keys()
        found[kind] = {key: {trials: each[key] for trials, each in runs.items()} for key in keys}
    return found["with_recorder"] | {"without_recorder": found["without_recorder"]}


def repeated(trials: int, repeats: int, record: bool) -> dict[str, Any]:
    """The medians of several runs' figures, each run in a new folder."""
    runs = []
    for _ in range(repeats):
        with tempfile.TemporaryDirectory(prefix="trial_overhead") as folder:
            runs.append(run_trials(Path(folder), trials, record))
    return middle(runs)


def middle(runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The medians of several runs' figures."""
    found: dict[str, Any] = {}
    for key, value in runs[0].items():
        values = [run[key] for run in runs]
        found[key] = middle(values) if isinstance(value, dict) else statistics.median(values)
    return found


def table(found: dict[str, Any]) -> Table:
    """One column a number of trials; the parts are those of a user's run."""
    made = Table(box=None, header_style="bold")
    made.add_column("a trial costs")
    for trials in found["parts"]:
        made.add_column(f"{trials} trials", justify="right")

    def row(name: str, values: Iterable[float], form: str) -> None:
        made.add_row(name, *(form.format(value) for value in values))

    for figures, words in ((found, ""), (found["without_recorder"], " without MLflow")):
        row(f"seconds{words}", figures["seconds_per_trial"].values(), "{:.3f}")
        row(f"driver's CPU{words}", figures["driver_cpu_ms_per_trial"].values(), "{:.1f} ms")
    waits = found["seconds_to_first_step"].values()
    row("seconds from proposal to first step", waits, "{:.3f}")
    row("start, once, seconds", found["start_seconds"].values(), "{:.1f}")
    parts = found["parts"].values()
    for part in sorted({name for each in parts for name in each}):
        row(f"  {part}", (each.get(part, 0.0) for each in parts), "{:.1f} ms")
    return made


def profile_trials(trials: int) -> None:
    """Print where the driver's main thread spends its time."""
    profile = cProfile.Profile()
    with tempfile.TemporaryDirectory(prefix="trial_overhead") as folder:
        run_trials(Path(folder), trials, True, profile)
    for order in ("cumulative", "tottime"):
        pstats.Stats(profile).sort_stats(order).print_stats(60)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark from the command line."""
    parser = command_line(__doc__, quick="10 and 100 trials, fewer repeats")
    parser.add_argument("--profile", action="store_true", help="profile the driver instead")
    parser.add_argument("--trials", type=int, nargs="+", help="these numbers of trials")
    options = parser.parse_args(arguments)
    counts = options.trials or ([10, 100] if options.quick else [10, 100, 1000])
    if min(counts) <= START:
        parser.error(f"the first {START} trials are the start; give more by --trials")
    quieten()
    if options.profile:
        profile_trials(options.trials[-1] if options.trials else 100)
        return
    repeats = {10: 2} if options.quick else {10: 5, 100: 3}
    carry_out(options.json, partial(run, counts, repeats), table)


if __name__ == "__main__":
    main()
