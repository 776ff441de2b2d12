"""The searches that are weighed, over a data set and a cache that are large beside a trial."""

from __future__ import annotations

import multiprocessing
import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from memory_weighing import Weights, weigh
from studies import StudyCache, run_search, study_spec

from kdsearch.execution.observers import Observer
from kdsearch.results.record import TrialRecord
from kdsearch.space.checks import make_plan
from kdsearch.spec.study import StudySpec

SHAPE, CLASSES = (3, 64, 64), 250
EPOCHS = 12
READ = EPOCHS - 2
"""Finished epochs of every trial from which on it is measured: nearly all of the cache is read."""


@dataclass(frozen=True)
class Setting:
    """What is trained on.

    Attributes:
        images: Training and validation samples, of 12,288 bytes each.
        rounds: Searches with one and with two trials.
    """

    images: int = 34_000
    rounds: int = 3

    def spec(self, folder: Path, name: str, concurrent: int) -> StudySpec:
        """A search of as many trials as run at a time, over small networks."""
        return study_spec(
            folder,
            name,
            {"samples": self.images, "test": CLASSES, "shape": SHAPE, "classes": CLASSES},
            data={"validation": 0.05, "augment": {"crop": 4, "flip": True}},
            teacher={"family": "convnet", "width": 0.25, "depth": 2},
            students=[{"family": "convnet", "width": 0.25, "depth": 2}],
            methods={"kd": {"temperature": 4, "weight": 0.9}},
            training={"epochs": EPOCHS, "batch_size": 128, "lr": {"low": 0.01, "high": 0.02}},
            search={"trials": concurrent},
            resources={"concurrent": concurrent},
        )


QUICK = Setting(images=8_500, rounds=1)


@dataclass(frozen=True)
class Held:
    """What all trials read.

    Attributes:
        folder: Where the cache is.
        data: Bytes of the data set.
        cache: Bytes of the cache.
    """

    folder: str
    data: int
    cache: int


def build_cache(spec: StudySpec) -> Held:
    """Have all answers kept that the searches read, by a process that gives its memory back."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_build, (spec,))


def _build(spec: StudySpec) -> Held:
    plan = make_plan(spec)
    cache = StudyCache(plan)
    for _ in range(EPOCHS):
        cache.build()
    splits = (plan.data.train, plan.data.validation, plan.data.test)
    folder = str(cache.caches.folder.resolve())
    return Held(folder, sum(split.nbytes for split in splits), cache.caches.bytes)


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


def weigh_search(spec: StudySpec, cache: str) -> Weights:
    """Bytes of a running search while all its trials are in their last epochs.

    Args:
        spec: The study.
        cache: The folder of its cache.

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
    return {key: statistics.median(sample.get(key, 0.0) for sample in samples) for key in keys}
