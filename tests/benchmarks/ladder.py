"""How much compute does a ladder need for the front of plain TPE? Real trainings.

Plain multi-objective TPE trains every trial to its end; halving pauses trials at rungs; the ladder
searches settings first and then cuts each student from its wider neighbour. All run on Ray Tune
with the same teacher, space and seeds, and may spend as many epochs. The space is ``wide`` of
``curves.py``, whose learning rates and weight decays span four orders of magnitude. Nothing is
chosen by hand; the trials of the settings count. ``compute_ratio_to_tpe`` is the share of TPE's
budget after which a search's mean hypervolume is what TPE's is at the end, in epochs, and in epochs
times the students' multiply-accumulates (``macs``); ``by_seed`` has it of each seed against that
same mean. ``test`` has the hypervolumes of the final fronts by their scores on the test: their
members, and what they were cut from, are trained again, to the same weights.

The first round of a ladder without chains, each student trained in full, and that of chains whose
settings are hardly more than the published ones, tell what either part is worth.

    python tests/benchmarks/ladder.py --keep FOLDER --json ladder.json
    python tests/benchmarks/ladder.py --data FashionMNIST-FOLDER --keep FOLDER --json ladder.json
    python tests/benchmarks/ladder.py --data CIFAR-10-images.zip --keep FOLDER --json ladder.json

Without ``--data`` they are scikit-learn's digits. ``--space FILE`` takes data, teacher, students,
methods, epochs and trials of a search-space file in place of ``wide``. With ``--quick`` fewer
trials, short trainings and two seeds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from command import carry_out, command_line, keeps_outcomes
from curves import curves_spec
from ladder_tests import volume_on_test
from links import data_of
from measuring import machine
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text
from seeded import told
from side_by_side import kept, train_teacher, working_folder
from studies import run_search
from volumes import BASE, GRID, Progress, figures, growth, table, volumes

from kdsearch.results.directory import StudyDirectory
from kdsearch.results.finalists import interval
from kdsearch.results.record import TrialRecord
from kdsearch.results.study import Study
from kdsearch.spec import StudySpec, load_spec

LADDER = "kdsearch ladder"
SEARCHES: dict[str, dict[str, Any]] = {
    BASE: {},
    "kdsearch halving": {"scheduler": {"name": "halving"}, "trials": 100_000},
    LADDER: {"strategy": "ladder"},
}
PARTS: dict[str, dict[str, Any]] = {
    "ladder, no chains": {"strategy": "ladder", "ladder": {"chains": False}},
    "ladder, few settings": {"strategy": "ladder", "ladder": {"settings": 0.12}},
}
"""Ladders that lack a part, as long as the first round."""


@dataclass(frozen=True)
class Setting:
    """What the benchmark trains.

    Attributes:
        trials: Whole trainings that each search may spend.
        part: The same of a ladder that lacks a part.
        epochs: Of a whole training.
        seeds: Searches of each kind.
        samples: Training and validation images together, half of them each, where they are not
            digits.
        test: Test images of CIFAR-10.
        max_parameters: Of students; 0: as many as there are.
        data: A folder with Fashion-MNIST, or the archive of CIFAR-10; absent: digits.
        space: A search-space file; absent: ``wide``.
    """

    trials: int = 60
    part: int = 15
    epochs: int = 27
    seeds: int = 5
    samples: int = 1_600
    test: int = 2_000
    max_parameters: int = 0
    data: Path | None = None
    space: Path | None = None

    def base(self, folder: Path) -> StudySpec:
        """The study that is searched, its teacher given once it is trained."""
        teacher = folder / "teacher.safetensors"
        given = {"checkpoint": str(teacher)} if teacher.is_file() else {}
        if self.space is None:
            return curves_spec("wide", folder, None, self.epochs, **given)
        spec = load_spec(self.space)
        cache = spec.cache.model_copy(update={"folder": folder / "cache"})
        teacher_section = spec.teacher.model_copy(update=given)
        untimed = spec.finalists.model_copy(update={"latency": False})
        update = {"cache": cache, "teacher": teacher_section, "finalists": untimed}
        return spec.model_copy(update=update)

    def of_space(self) -> Setting:
        """The same with epochs and trials of the search-space file, where one is given."""
        if self.space is None:
            return self
        spec = load_spec(self.space)
        return replace(self, epochs=spec.training.epochs, trials=spec.search.trials)


QUICK = Setting(trials=20, part=8, epochs=9, seeds=2, samples=400, test=200)


def search_spec(setting: Setting, folder: Path, name: str, seed: int) -> StudySpec:
    """One search, as long as TPE's or as its first round."""
    spec = setting.base(folder)
    own = {**SEARCHES, **PARTS}[name]
    study = {"name": f"{_file(name)}-{seed}", "seed": seed, "directory": str(folder)}
    trials = setting.part if name in PARTS else setting.trials
    most = {"max_epochs": trials * setting.epochs} if own else {}
    if setting.max_parameters:
        most["max_parameters"] = setting.max_parameters
    plain = {"strategy": "optuna", "scheduler": {"name": "none"}, "trials": trials}
    search = spec.search.model_dump() | plain | most | own
    sections = spec.model_dump() | {"study": study, "search": search}
    if setting.data is not None:
        sections["data"] = data_of(setting.data, setting) | {"validation": 0.5}
    return StudySpec.model_validate(sections)


def _file(name: str) -> str:
    return name.removeprefix("kdsearch ").replace(", ", "-").replace(" ", "-")


def searched(setting: Setting, folder: Path, jobs: Iterable[tuple[str, int]]) -> Iterator[Any]:
    """How the front of each search grew, by epochs and by multiply-accumulates."""
    for name, seed in jobs:
        spec = search_spec(setting, folder, name, seed)
        if not StudyDirectory.of(spec).exists():
            run_search(spec, [])
        study = Study(StudyDirectory.of(spec))
        found: dict[str, Any] = {"search": name, "seed": seed, "test": volume_on_test(study)}
        for unit, cost in (("epochs", lambda _: 1.0), ("macs", _macs)):
            lines = study.directory.trials.lines()
            grown = growth(lines, study.objectives, study.largest, setting.epochs, cost)
            found[unit] = {
                "compute": grown.compute.tolist(),
                "volume": grown.volume.tolist(),
                "trials": grown.trials,
            }
        yield found


def _macs(record: TrialRecord) -> float:
    return record.macs / 1e6


def measure(keep: Path | None, setting: Setting, console: Console) -> dict[str, Any]:
    """Every search with every seed; the figures by either unit."""
    with working_folder(keep) as folder:
        spec = search_spec(setting, folder, BASE, 0)
        if spec.teacher.checkpoint is None:
            train_teacher(spec, folder / "teacher.safetensors")
        names = (*SEARCHES, *PARTS)
        jobs = [(name, seed) for seed in range(setting.seeds) for name in names]
        runs = []
        done = partial(searched, setting, folder)
        for run in kept(folder / "searches.jsonl", (setting,), done, jobs):
            runs.append(run)
            console.print(f"{run['search']}, seed {run['seed']}: {run['epochs']['volume'][-1]:.4f}")
    spent = {"epochs": float(setting.trials), "macs": _spent(runs)}
    return {
        **{unit: figures(_progress(runs, unit), most) for unit, most in spent.items()},
        "by_seed": {unit: by_seed(_progress(runs, unit), most) for unit, most in spent.items()},
        "test": {name: _tested(runs, name) for name in names},
        "machine": machine(),
    }


def by_seed(searches: Mapping[str, Sequence[Progress]], budget: float) -> list[float | None]:
    """After which share of the budget each ladder has TPE's mean final hypervolume."""
    curves = volumes(searches, budget)
    above = curves[LADDER] >= curves[BASE][:, -1].mean()
    return [float(GRID[row.argmax()]) if row.any() else None for row in above]


def _tested(runs: Sequence[dict[str, Any]], name: str) -> dict[str, float]:
    """Mean hypervolume on the test over the seeds."""
    found = interval([run["test"] for run in runs if run["search"] == name])
    return {"volume": found.mean, "volume_ci": found.half_width}


def _progress(runs: Sequence[dict[str, Any]], unit: str) -> dict[str, list[Progress]]:
    return {
        name: [
            Progress(
                np.array(run[unit]["compute"]),
                np.array(run[unit]["volume"]),
                run[unit]["trials"],
            )
            for run in runs
            if run["search"] == name
        ]
        for name in (*SEARCHES, *PARTS)
    }


def _spent(runs: Sequence[dict[str, Any]]) -> float:
    """What TPE's searches spent in multiply-accumulates, on average."""
    return float(np.mean([run["macs"]["compute"][-1] for run in runs if run["search"] == BASE]))


def show(found: dict[str, Any]) -> Group:
    """A table for each unit, and one of the test."""
    parts: list[Any] = []
    for unit in ("epochs", "macs"):
        shares = ", ".join(
            "never" if share is None else f"{share:.2f}" for share in found["by_seed"][unit]
        )
        parts += [Text(unit), table(found[unit]), Text(f"the ladder's seeds: {shares}")]
    tested = Table(box=None, header_style="bold")
    tested.add_column("at the end")
    tested.add_column("hypervolume on the test, %", justify="right")
    for name, row in found["test"].items():
        tested.add_row(name, told(row, "volume"))
    return Group(*parts, tested)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark from the command line."""
    parser = command_line(__doc__, "fewer trials, short trainings and two seeds")
    parser.add_argument("--data", type=Path, help="a folder with FashionMNIST/raw, or the archive")
    parser.add_argument("--space", type=Path, help="a search-space file in place of wide")
    parser.add_argument("--max-parameters", type=int, default=0, help="of students")
    parser.add_argument("--seeds", type=int, help="searches of each kind")
    keeps_outcomes(parser)
    options = parser.parse_args(arguments)
    setting = QUICK if options.quick else Setting()
    setting = replace(
        setting,
        seeds=options.seeds or setting.seeds,
        max_parameters=options.max_parameters,
        data=options.data,
        space=options.space,
    ).of_space()
    carry_out(options.json, partial(measure, options.keep, setting), show)


if __name__ == "__main__":
    main()
