"""Does each method distil? One teacher, one student, every method at one budget, several seeds.

Every method, and the undistilled student, has its published defaults and the best of three
learning rates, each tried with one seed on validation: a rate that suits plain cross-entropy is no
fair rate for a loss with other weights. The test split is scored once a training, at its end.

    python tests/benchmarks/methods.py --data FOLDER --json methods.json

FOLDER holds ``FashionMNIST/raw``. With ``--quick`` fewer pictures, epochs and seeds.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from kdsearch.data import Dataset, load_dataset
from kdsearch.errors import DivergedError
from kdsearch.methods import METHODS, UNDISTILLED, label_hyperparameters, method_config
from kdsearch.models import Network, build_network, measure_config
from kdsearch.search.finalists import estimate
from kdsearch.search.fitting import adopting
from kdsearch.spec.concrete import ModelConfig, TrainingConfig
from kdsearch.spec.sections import DataSection
from kdsearch.spec.teaching import BORN_AGAIN, MUTUAL, TEACHER
from kdsearch.training.courses import begin_course
from kdsearch.training.task import Task
from kdsearch.training.teacher import Reference, Teacher
from kdsearch.training.trainer import Trainer

RATES = (0.03, 0.1, 0.3)
"""Learning rates among which every method chooses."""

KD_BY = {"kd, born again": BORN_AGAIN, "kd, mutual": MUTUAL}
"""Beside every method by the teacher: kd by the student's own like."""

LIKE_VALUES = {"temperature": 1.0, "weight": 1.0, "ce_weight": 1.0}
"""Published values of both (Furlanello et al. 2018; Zhang et al. 2018)."""


_TEACHER = ModelConfig(family="convnet", width=1.0, depth=3)
_STUDENT = ModelConfig(family="convnet", width=0.25, depth=3)


@dataclass(frozen=True)
class Setting:
    """What the benchmark trains.

    Attributes:
        samples: Training and validation pictures together.
        teacher: The teacher, and the epochs of its training.
        student: The student.
        epochs: Epochs of a student.
        seeds: Trainings of each method.
        scale: What every published weight is multiplied by.
    """

    samples: int = 7_200
    teacher: tuple[ModelConfig, int] = (_TEACHER, 12)
    student: ModelConfig = _STUDENT
    epochs: int = 6
    seeds: int = 5
    scale: float = 1.0

    def data(self, root: Path) -> Dataset:
        section = DataSection(
            source="fashion_mnist", root=root, limit=self.samples, validation=1 / 6
        )
        return load_dataset(section)

    def values(self, name: str) -> dict[str, float]:
        """What is given beside the published defaults."""
        if name in KD_BY:
            return LIKE_VALUES
        weight = label_hyperparameters(name).get("weight")
        return {} if weight is None or self.scale == 1 else {"weight": weight.default * self.scale}

    def task(self, name: str, seed: int, lr: float) -> Task:
        """The training of a method: a name of kdsearch, or a key of ``KD_BY``."""
        label = "kd" if name in KD_BY else name
        teacher = None if name == UNDISTILLED else KD_BY.get(name, TEACHER)
        return Task(
            model=adopting(label, self.student, self.teacher[0]),
            method=method_config(label, self.values(name)),
            training=TrainingConfig(epochs=self.epochs, batch_size=64, lr=lr, clip_grad_norm=5.0),
            views_seed=0,
            teacher=teacher,
            seed=seed,
        )


QUICK = Setting(samples=2_400, epochs=3, seeds=2)


class Bench:
    """What each process holds: data, teacher, and the reference for agreement."""

    def __init__(self, setting: Setting, root: Path, weights: dict[str, torch.Tensor]) -> None:
        torch.set_num_threads(1)
        self.setting = setting
        self.data = setting.data(root)
        network = self.network()
        network.load_state_dict(weights)
        self.teacher = Teacher(network)
        self.reference = Reference(self.teacher, self.data)

    def network(self) -> Network:
        return build_network(self.setting.teacher[0], self.data.image_shape, len(self.data.classes))

    def train(self, name: str, seed: int, lr: float, test: bool) -> dict[str, Any]:
        """One training's scores; on the test split if asked, else on validation."""
        start = time.perf_counter()
        task = self.setting.task(name, seed, lr)
        course = begin_course(task, self.data, {TEACHER: self.teacher}, "cpu", self.reference)
        told = {"name": name, "lr": lr}
        try:
            while not course.finished:
                report = course.train_epoch()
        except DivergedError:
            return {**told, "accuracy": 0.0, "diverged": True}
        scores = course.score_test() if test else report.scores
        return {**told, "seconds": time.perf_counter() - start, **scores.as_dict()}


_bench: list[Bench] = []


def _start(setting: Setting, root: Path, weights: dict[str, torch.Tensor]) -> None:
    _bench.append(Bench(setting, root, weights))


def _train(job: tuple[str, int, float, bool]) -> dict[str, Any]:
    return _bench[0].train(*job)


def train_teacher(setting: Setting, root: Path) -> tuple[dict[str, torch.Tensor], float]:
    """The teacher's weights, and its accuracy on the test split."""
    model, epochs = setting.teacher
    task = Task(
        model=model,
        method=method_config(UNDISTILLED, {}),
        training=TrainingConfig(epochs=epochs, batch_size=64, lr=0.05),
        views_seed=0,
        seed=1_000,
    )
    trainer = Trainer(task, setting.data(root))
    while not trainer.finished:
        trainer.train_epoch()
    weights = {name: value.clone() for name, value in trainer.student.state_dict().items()}
    return weights, trainer.score_test().accuracy


def summarise(
    name: str, runs: Sequence[dict[str, Any]], baseline: Sequence[dict[str, Any]], size: int
) -> dict[str, Any]:
    """One method's row over the seeds that did not diverge; both are in the seeds' order."""
    lr = runs[0]["lr"]
    pairs = [pair for pair in zip(runs, baseline, strict=True) if "diverged" not in pair[0]]
    diverged = len(runs) - len(pairs)
    runs = [run for run, _ in pairs]
    accuracy = estimate([run["accuracy"] for run in runs])
    gain = estimate([run["accuracy"] - other["accuracy"] for run, other in pairs])
    means = {key: estimate([run[key] for run in runs]).mean for key in ("nll", "ece", "kl")}
    return {
        "method": name,
        "accuracy_mean": accuracy.mean,
        "accuracy_ci": accuracy.half_width,
        "gain": gain.mean,
        "gain_ci": gain.half_width,
        "lr": lr,
        "diverged": diverged,
        "agreement": estimate([run["agreement"] for run in runs]).mean,
        **means,
        "parameters": size,
        "seeds": len(runs),
        "seconds": estimate([run["seconds"] for run in runs]).mean,
    }


def run(setting: Setting, root: Path, names: Sequence[str], console: Console) -> Iterator[dict]:
    """Train everything; yields one row a method, the baseline's first."""
    weights, accuracy = train_teacher(setting, root)
    console.print(f"teacher: test accuracy {accuracy:.2%}", highlight=False)
    context = multiprocessing.get_context("spawn")
    workers = os.cpu_count() or 1
    with context.Pool(workers, _start, (setting, root, weights)) as pool:
        tried = [(name, 0, lr, False) for name in names for lr in RATES]
        sweep = pool.map(_train, tried, chunksize=1)
        rates = {name: best_rate([run for run in sweep if run["name"] == name]) for name in names}
        seeds = range(1, setting.seeds + 1)
        jobs = [(name, seed, rates[name], True) for name in names for seed in seeds]
        done: list[dict[str, Any]] = []
        baseline: list[dict[str, Any]] = []
        for result in pool.imap(_train, jobs, chunksize=1):
            done.append(result)
            if len(done) < setting.seeds:
                continue
            baseline = baseline or list(done)
            model = setting.task(done[0]["name"], 0, 1.0).model
            size = measure_config(model, (1, 28, 28), 10).parameters
            yield summarise(done[0]["name"], done, baseline, size)
            done.clear()


def best_rate(sweep: Sequence[dict[str, Any]]) -> float:
    """The learning rate of the best of some trainings that ended well."""
    return max(sweep, key=lambda run: run["accuracy"])["lr"]


def table(rows: Sequence[dict[str, Any]]) -> Table:
    """The rows as a table, the best first."""
    shown = Table(box=None, header_style="bold")
    for column in (
        "method",
        "test accuracy",
        "gain",
        "agreement",
        "ECE",
        "rate",
        "parameters",
        "s",
    ):
        shown.add_column(column, justify="left" if column == "method" else "right")
    for row in sorted(rows, key=lambda row: -row["accuracy_mean"]):
        shown.add_row(
            row["method"],
            f"{100 * row['accuracy_mean']:.2f} ± {100 * row['accuracy_ci']:.2f}",
            ""
            if row["method"] == UNDISTILLED
            else f"{100 * row['gain']:+.2f} ± {100 * row['gain_ci']:.2f}",
            f"{100 * row['agreement']:.2f}",
            f"{100 * row['ece']:.2f}",
            f"{row['lr']:g}",
            f"{row['parameters']:,}",
            f"{row['seconds']:.0f}",
        )
    return shown


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark from the command line."""
    beside = Path(__file__).resolve().parents[2].parent / "shared" / "data"
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="fewer pictures, epochs and seeds")
    parser.add_argument("--json", type=Path, help="where the results go")
    parser.add_argument("--data", type=Path, default=beside, help="holds FashionMNIST/raw")
    parser.add_argument("--methods", nargs="+", metavar="NAME", help="these methods alone")
    parser.add_argument("--scale", type=float, default=1.0, help="factor of published weights")
    options = parser.parse_args(arguments)
    if not (options.data / "FashionMNIST" / "raw").is_dir():
        parser.error(f"there is no FashionMNIST/raw in {options.data}; give its folder by --data")
    every = [*METHODS, *KD_BY]
    names = options.methods or every
    unknown = sorted(set(names) - {*every, UNDISTILLED})
    if unknown:
        parser.error(f"no method is called {', '.join(unknown)}")
    console = Console(file=sys.stderr)
    start = time.perf_counter()
    rows = []
    wanted = [UNDISTILLED, *(name for name in names if name != UNDISTILLED)]
    setting = replace(QUICK if options.quick else Setting(), scale=options.scale)
    for row in run(setting, options.data, wanted, console):
        rows.append(row)
        console.print(f"{row['method']}: {row['accuracy_mean']:.2%}, {row['gain']:+.2%}")
        if options.json:
            options.json.write_text(json.dumps(rows, indent=1) + "\n")
    Console(width=100).print(table(rows))
    console.print(f"{(time.perf_counter() - start) / 60:.1f} minutes", highlight=False)


if __name__ == "__main__":
    main()
