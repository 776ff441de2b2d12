"""How much compute does kdsearch's search need for the front of plain TPE? Real trainings.

Plain multi-objective TPE trains every trial to its end; kdsearch's own search (``--scheduler``)
puts trials aside at rungs and may spend as many epochs. Both run on Ray Tune with the same teacher,
space and seeds, on digits and on a subset of Fashion-MNIST: the shipped spaces, with learning rates
and weight decays over four orders of magnitude. Figures as in ``search_replay.py``; compute counts
the epochs of the trials that have ended or come to a rung.

    python tests/benchmarks/search_live.py --data FOLDER --json search_live.json

FOLDER holds ``FashionMNIST/raw``. With ``--quick`` digits alone, fewer trials and short trainings.
"""

from __future__ import annotations

import tempfile
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from command import carry_out, command_line
from measuring import machine
from replay_figure import write_figure
from rich.console import Console, Group
from rich.text import Text
from studies import run_search
from volumes import BASE, GRID, Progress, figures, growth, table, volumes

from kdsearch.results.directory import StudyDirectory
from kdsearch.results.study import Study
from kdsearch.spec import load_spec
from kdsearch.spec.study import StudySpec

SPACES = Path(__file__).resolve().parents[2] / "search_spaces"


@dataclass(frozen=True)
class Setting:
    """What the benchmark trains.

    Attributes:
        trials: Whole trainings that each search may spend.
        seeds: Searches of each kind.
        words: Of each data set, what is changed in its shipped space.
    """

    trials: int
    seeds: int
    words: dict[str, tuple[str, ...]]


WIDE = (
    "training.lr={low: 1.0e-4, high: 1, log: true}",
    "training.weight_decay={low: 1.0e-5, high: 0.1, log: true}",
)
FULL = Setting(
    trials=30,
    seeds=3,
    words={
        "digits": ("training.epochs=27", *WIDE),
        "fashion_mnist": (
            *WIDE,
            "data.limit=2400",
            "data.validation=0.5",
            "teacher.model={family: convnet, width: 1, depth: 3}",
            "training.batch_size=64",
            "training.epochs=27",
        ),
    },
)
QUICK = Setting(
    trials=24, seeds=2, words={"digits": ("training.epochs=9", "data.limit=600", *WIDE)}
)


def search_spec(
    setting: Setting, data: str, root: Path | None, folder: Path, scheduler: str, seed: int
) -> StudySpec:
    """One search: plain TPE where no scheduler is, else as many epochs as that takes."""
    words = [
        f"study.name={data}-{scheduler}-{seed}",
        f"study.seed={seed}",
        f"study.directory={folder}",
        *setting.words[data],
        *([f"data.root={root}"] if data != "digits" else []),
        f"search.scheduler.name={scheduler}",
        f"search.trials={setting.trials if scheduler == 'none' else 100_000}",
    ]
    spec = load_spec(SPACES / f"{data}.yaml", words)
    if scheduler == "none":
        return spec
    epochs = setting.trials * spec.training.epochs
    search = spec.search.model_copy(update={"max_epochs": epochs})
    return spec.model_copy(update={"search": search})


def search(spec: StudySpec) -> Progress:
    """Run a search; how its front grew."""
    run_search(spec, [])
    study = Study(StudyDirectory.of(spec))
    records = study.directory.trials.lines()
    return growth(records, study.objectives, study.largest, spec.training.epochs)


def run(options: Namespace, setting: Setting, console: Console) -> dict[str, Any]:
    """Every search with every seed; the figures of each data set."""
    names = {BASE: "none", f"kdsearch {options.scheduler}": options.scheduler}
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="live") as folder:
        for data in setting.words:
            grown: dict[str, list[Progress]] = {name: [] for name in names}
            for seed in range(setting.seeds):
                for name, scheduler in names.items():
                    spec = search_spec(setting, data, options.data, Path(folder), scheduler, seed)
                    grown[name].append(search(spec))
                    last = grown[name][-1]
                    console.print(f"{data}, {name}, seed {seed}: {last.volume[-1]:.4f}")
            if options.figures is not None:
                curves = volumes(grown, setting.trials)
                write_figure(options.figures / f"{data}.png", GRID * setting.trials, curves)
            found[data] = figures(grown, setting.trials)
    return {"data": found, "machine": machine()}


def show(found: dict[str, Any]) -> Group:
    """A table for each data set."""
    return Group(*(part for data, of in found["data"].items() for part in (Text(data), table(of))))


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark from the command line."""
    parser = command_line(__doc__, "digits alone, fewer trials, short trainings")
    parser.add_argument("--data", type=Path, help="holds FashionMNIST/raw")
    parser.add_argument("--scheduler", default="halving", choices=["halving", "neighbours"])
    parser.add_argument("--figures", type=Path, help="folder for a figure of each data set")
    options = parser.parse_args(arguments)
    if options.data is None and not options.quick:
        parser.error("--data is needed, unless --quick is given")
    carry_out(options.json, partial(run, options, QUICK if options.quick else FULL), show)


if __name__ == "__main__":
    main()
