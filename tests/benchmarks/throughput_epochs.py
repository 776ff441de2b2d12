"""Epochs of kdsearch and of the ordinary loop, in processes side by side."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
from measuring import ratio
from studies import StudyCache
from throughput_ordinary import Material, Ordinary
from throughput_processes import Side
from throughput_setting import Config, Setting, as_proposed

from kdsearch.data import pack, unpack
from kdsearch.space.checks import make_plan
from kdsearch.spec.study import StudySpec
from kdsearch.training.teacher import Reference
from kdsearch.training.trainer import Trainer

CONFIG: Config = {"lr": 0.05, "temperature": 4.0}
"""Of every training here."""


class CachedTrial:
    """A trial of kdsearch, taught by a cache that is built one epoch at a time."""

    def __init__(self, spec: StudySpec) -> None:
        plan = make_plan(spec)
        plan = replace(plan, data=unpack(pack(plan.data)))  # as actors have it
        self._cache = StudyCache(plan)
        reference = Reference(self._cache.asked, plan.data)
        recipe = plan.space.suggest(optuna.trial.FixedTrial(as_proposed(CONFIG)))
        task = recipe.task(spec, 0)
        self._trainer = Trainer(task, plan.data, self._cache.teacher, reference=reference)

    def build(self) -> None:
        """Have the teacher's answers to the next epoch kept."""
        self._cache.build()

    def epoch(self) -> float:
        """Train for one epoch; accuracy on validation."""
        return self._trainer.train_epoch().scores["accuracy"]


def measure_epochs(
    setting: Setting, folder: Path, archive: Path | None, cores: set[int]
) -> dict[str, list[float]]:
    """Seconds of an epoch on some cores, by side, one value a round.

    With n cores kdsearch trains n students at once. A side that trains several at once has its
    seconds divided by their number. The first epoch is not counted.
    """
    epochs = setting.rounds + 1
    spec = setting.epoch_spec(folder, archive, epochs)
    found: dict[str, list[float]] = {}
    with _sides(spec, epochs, cores) as sides:
        for number in range(epochs):
            seconds = {"building": sides["kdsearch"].do("build", 1)}
            seconds |= {name: side.do("epoch") / side.count for name, side in sides.items()}
            for name, value in seconds.items() if number else ():
                found.setdefault(name, []).append(value)
    return found


@contextmanager
def _sides(spec: StudySpec, epochs: int, cores: set[int]) -> Iterator[dict[str, Side]]:
    """The processes of each side, started and waiting."""
    count = len(cores)
    ordinary = (Material.of(spec), CONFIG, epochs)
    threads = f"{count} thread{'s' * (count > 1)}"
    made: dict[str, tuple] = {
        "kdsearch": (CachedTrial, (spec,), cores, 1, count),
        f"ordinary, 1 process with {threads}": (Ordinary, ordinary, cores, count, 1),
    }
    if count == 1:
        made["ordinary, without loaders"] = (Ordinary, (*ordinary, 0), cores, 1, 1)
    else:
        name = f"ordinary, {count} processes with 1 thread"
        made[name] = (Ordinary, ordinary, cores, 1, count)
    with ExitStack() as stack:
        sides = {}
        for name, given in made.items():
            sides[name] = Side(*given)
            stack.callback(sides[name].close)
        yield sides


def epochs_figures(setting: Setting, times: dict[str, list[float]], cores: int) -> dict[str, Any]:
    """The speedups that the seconds of :func:`measure_epochs` amount to."""
    middle = {name: statistics.median(values) for name, values in times.items()}
    best = min((name for name in times if name.startswith("ordinary")), key=lambda n: middle[n])
    # the epochs of one trial are built once for all trials, by one process while the others train
    shares = [seconds / setting.trials / cores for seconds in times["building"]]
    with_building = [a + b for a, b in zip(times["kdsearch"], shares, strict=True)]
    return {
        "epochs_speedup": ratio(times[best], times["kdsearch"]),
        "epochs_speedup_with_building": ratio(times[best], with_building),
        "seconds_per_epoch": middle,
        "opponent": best,
    }
