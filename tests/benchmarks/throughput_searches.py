"""The same search by kdsearch and over the ordinary loop."""

from __future__ import annotations

import multiprocessing
import os
import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from measuring import ratio
from studies import run_search
from throughput_ordinary import Material, by_ray_tune, one_after_another
from throughput_processes import seconds_of
from throughput_setting import Config, Setting, as_proposed

from kdsearch.execution.observers import Observer
from kdsearch.results.directory import StudyDirectory
from kdsearch.results.record import TrialRecord
from kdsearch.results.study import Study
from kdsearch.spec.study import StudySpec


class FirstStart(Observer):
    """Tells another process when the first trial starts.

    Args:
        moment: Takes the seconds of ``time.time()``; 0 as long as no trial has started.
    """

    def __init__(self, moment: Any) -> None:
        self._moment = moment

    def trial_started(self, record: TrialRecord) -> None:
        self._moment.value = self._moment.value or time.time()


def by_kdsearch(
    spec: StudySpec, configs: Sequence[Config], cores: set[int], first_start: Any
) -> None:
    """A search of kdsearch whose proposals are given, as points to evaluate are to Ray Tune."""
    os.sched_setaffinity(0, cores)
    run_search(spec, [as_proposed(config) for config in configs], FirstStart(first_start))


def measure_searches(
    setting: Setting, folder: Path, archive: Path | None, cores: set[int]
) -> dict[str, Any]:
    """``search_speedup`` with the seconds of each side and those of kdsearch's start.

    After the first round only the faster of the opponents goes on.
    """
    configs = setting.configs()
    times: dict[str, list[float]] = {"kdsearch": []}
    starts: list[float] = []
    wanted = ["Ray Tune", "one after another"]
    for number in range(setting.searches):
        # a new folder each time, so that the cache is built each time
        place = folder / f"search-{number}"
        place.mkdir()
        spec = setting.search_spec(place, archive)
        opponents = _opponents(Material.of(spec), configs, setting.epochs, place, cores)
        seconds, start = _seconds_of_kdsearch(spec, configs, cores)
        times["kdsearch"].append(seconds)
        starts.append(start)
        for name in wanted:
            times.setdefault(name, []).append(opponents[name]())
        wanted = [min(wanted, key=lambda name: times[name][0])]
    return ratio(times[wanted[0]], times["kdsearch"]) | {
        "opponent": wanted[0],
        "seconds": {name: statistics.median(values) for name, values in times.items()},
        "start_seconds": statistics.median(starts),
        "trials": setting.trials,
        "epochs": setting.epochs,
        "images": setting.search_images,
    }


def _seconds_of_kdsearch(
    spec: StudySpec, configs: Sequence[Config], cores: set[int]
) -> tuple[float, float]:
    """Wall clock of the whole process, and from its start to that of the first trial."""
    first_start = multiprocessing.get_context("spawn").Value("d", 0.0)
    begin = time.time()
    seconds = seconds_of(by_kdsearch, spec, configs, cores, first_start)
    _check(spec, configs)
    return seconds, first_start.value - begin


def _opponents(
    material: Material, configs: Sequence[Config], epochs: int, folder: Path, cores: set[int]
) -> dict[str, Callable[[], float]]:
    """What runs the search of each opponent and gives its seconds."""
    given = (material, configs, epochs)
    return {
        "Ray Tune": partial(seconds_of, by_ray_tune, *given, folder, cores),
        "one after another": partial(seconds_of, one_after_another, *given, cores),
    }


def _check(spec: StudySpec, configs: Sequence[Config]) -> None:
    """kdsearch trained exactly the given configurations to their end."""
    records = Study.open(StudyDirectory.of(spec).path).records()
    assert [record.status for record in records] == ["complete"] * len(configs)
    tried = sorted(
        (r.task.training.lr, r.task.method.terms[0].hyperparameters["temperature"]) for r in records
    )
    assert tried == sorted((config["lr"], config["temperature"]) for config in configs)
