"""Records learning curves of random configurations, for searches that are replayed from them.

The spaces are small ones on scikit-learn's digits. ``narrow`` has three methods and no distillation
over temperature, weight and the width of a convolutional student, with learning rates that all
learn; ``wide`` has one method more, depth and weight decay, and rates and decays over four orders
of magnitude, as somebody would write it who knows nothing of them: many of its students learn
badly or not at all. ``fashion_mnist`` is the space of ``wide`` on another data set, a few images
of Fashion-MNIST. Every configuration is trained to its end. The table keeps its parameters, its
sizes, the validation accuracy of the student and of its averaged weights after each epoch, the
time an epoch took, and the test accuracy.

    python tests/benchmarks/curves.py narrow tests/benchmarks/curves/narrow.jsonl.gz
    python tests/benchmarks/curves.py wide tests/benchmarks/curves/wide.jsonl.gz
    python tests/benchmarks/curves.py fashion_mnist --data FOLDER \\
        tests/benchmarks/curves/fashion_mnist.jsonl.gz

FOLDER holds ``FashionMNIST/raw``.

With ``--quick`` a few short trainings.
"""

from __future__ import annotations

import gzip
import json
import tempfile
from argparse import ArgumentParser
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import optuna
from command import results_file
from curves_table import Curve, Dimension
from optuna.distributions import FloatDistribution, IntDistribution
from rich.console import Console
from rich.progress import track
from side_by_side import StudyBench, side_by_side, train_teacher
from studies import quieten

from kdsearch.errors import DivergedError
from kdsearch.files import write_atomically
from kdsearch.results.record import TrialRecord
from kdsearch.search.estimate import sample_trials
from kdsearch.space.checks import make_plan
from kdsearch.spec.study import StudySpec

EPOCHS = 27
QUICK_EPOCHS, QUICK_CONFIGS = 3, 20

DIGITS = {"source": "digits", "validation": 0.5, "test": 0.25, "augment": {"crop": 1}}
IMAGES = {
    "source": "fashion_mnist",
    "limit": 1_600,
    "validation": 0.5,
    "augment": {"crop": 2, "flip": True},
}

SPACES: dict[str, dict[str, Any]] = {
    "narrow": {
        "data": DIGITS,
        "configs": 2_000,
        "depth": 2,
        "methods": ["none", "kd", "dkd", "dist"],
        "training": {"lr": {"low": 0.003, "high": 0.5, "log": True}},
    },
    "wide": {
        "data": DIGITS,
        "configs": 2_000,
        "depth": {"low": 1, "high": 3},
        "methods": ["none", "kd", "dkd", "dist", "rkd"],
        "training": {
            "lr": {"low": 1e-4, "high": 1, "log": True},
            "weight_decay": {"low": 1e-5, "high": 0.1, "log": True},
        },
    },
}
SPACES["fashion_mnist"] = SPACES["wide"] | {"data": IMAGES, "configs": 500}


def curves_spec(
    name: str, folder: Path, root: Path | None = None, epochs: int = EPOCHS, **teacher: Any
) -> StudySpec:
    """The study whose space, one of :data:`SPACES`, is sampled, and searched in the replay.

    Args:
        name: Of the space.
        folder: Takes the study.
        root: Folder of the images, for data that do not come with a library.
        epochs: Of a whole training.
        teacher: More of its section.
    """
    space = SPACES[name]
    data = space["data"] | ({} if root is None else {"root": str(root)})
    width = {"low": 0.1, "high": 2, "log": True}
    return StudySpec.model_validate(
        {
            "study": {"name": "curves", "directory": str(folder)},
            "data": data,
            "teacher": {
                "model": {"family": "convnet", "width": 2, "depth": 3},
                "training": {"epochs": epochs, "batch_size": 64, "lr": 0.05},
                **teacher,
            },
            "students": [{"family": "convnet", "depth": space["depth"], "width": width}],
            "methods": space["methods"],
            "training": {"epochs": epochs, "batch_size": 64, **space["training"]},
            "cache": {"folder": str(folder / "cache")},
        }
    )


class Bench(StudyBench):
    """Trains a configuration to its end, its averaged weights scored after each epoch."""

    def record(self, trial: TrialRecord) -> Curve:
        """The curve of a trial; as far as it came, where it diverged."""
        trainer = self.trainer(trial.task, range(1, trial.task.training.epochs + 1))
        raw, averaged, seconds, test = [], [], [], None
        try:
            while not trainer.finished:
                report = trainer.train_epoch()
                assert report.averaged is not None
                raw.append(report.scores["accuracy"])
                averaged.append(report.averaged["accuracy"])
                seconds.append(report.seconds)
            test = trainer.score_test()["accuracy"]
        except DivergedError:
            pass
        sizes = {name: trial.size(name) for name in ("parameters", "macs", "bytes")}
        spent = sum(seconds) / max(1, len(seconds))
        return Curve(trial.parameters, sizes, raw, averaged, spent, test)


def record(spec: StudySpec, taught: StudySpec, configs: int, console: Console) -> list[Curve]:
    """Train random configurations of a study, its teacher first.

    Args:
        spec: The study.
        taught: The same with the file that its teacher's weights go to.
        configs: How many.
        console: Where the progress is shown.
    """
    trials = sample_trials(make_plan(spec), configs)
    assert taught.teacher.checkpoint is not None
    train_teacher(spec, taught.teacher.checkpoint)
    with side_by_side(Bench, (taught,), "record") as trained:
        return list(track(trained(trials), "training", len(trials), console=console))


def dimensions(spec: StudySpec) -> dict[str, Dimension]:
    """The ranges of the space's numbers, by Optuna's names."""
    space = make_plan(spec).space
    study = optuna.create_study()
    found: dict[str, Dimension] = {}
    for label in space.methods:
        study.enqueue_trial({"method": label})
        trial = study.ask()
        space.suggest(trial)
        for name, each in trial.distributions.items():
            if isinstance(each, FloatDistribution | IntDistribution):
                found[name] = Dimension(each.low, each.high, each.log)
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Record a table from the command line."""
    parser = ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("space", choices=list(SPACES), help="what is sampled")
    parser.add_argument("table", type=results_file, help="file that the curves go to")
    parser.add_argument("--data", type=Path, help="holds FashionMNIST/raw")
    parser.add_argument("--quick", action="store_true", help="a few short trainings")
    options = parser.parse_args(arguments)
    quieten()
    epochs, configs = EPOCHS, SPACES[options.space]["configs"]
    if options.quick:
        epochs, configs = QUICK_EPOCHS, QUICK_CONFIGS
    with tempfile.TemporaryDirectory(prefix="curves") as folder:
        make = partial(curves_spec, options.space, Path(folder), options.data, epochs)
        spec = make()
        taught = make(checkpoint=str(Path(folder) / "teacher.safetensors"))
        curves = record(spec, taught, configs, Console(stderr=True))
        head = {"epochs": epochs, "dimensions": {n: asdict(d) for n, d in dimensions(spec).items()}}
    lines = [json.dumps(each) for each in (head, *(asdict(curve) for curve in curves))]
    write_atomically(options.table, gzip.compress("\n".join(lines).encode(), mtime=0))


if __name__ == "__main__":
    main()
