"""A search on made-up workers: its real course by predicted costs, made-up times and scores."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from kdsearch.execution.jobs import NoMoreJobs
from kdsearch.models import measure_config, of_images
from kdsearch.results.cost import TrialCost
from kdsearch.results.record import TrialRecord
from kdsearch.search.loop import ProposedJobs
from kdsearch.spec import parse_spec
from kdsearch.spec.concrete import MethodConfig, ModelConfig, TrainingConfig
from kdsearch.training.task import Task

SECONDS = {
    "none": 10, "kd": 8, "mse_logits": 9, "hard_label": 7, "dkd": 8, "dist": 7, "logit_std": 7,
    "nkd": 7, "mlkd": 8, "fitnet": 8, "at": 8, "nst": 11, "fsp": 16, "vid": 27, "ab": 13, "ft": 20,
    "ofd": 26, "reviewkd": 52, "simkd": 13, "semckd": 169, "sp": 8, "pkt": 7, "rkd": 10, "cc": 8,
    "crd": 38, "adversarial": 9, "adversarial_embedding": 9, "weight_copy": 5,
}  # fmt: skip
"""Seconds of a training in the table in docs/measurements/methods.md, student of width 0.25."""

WIDTHS = (0.1, 0.18, 0.25, 0.35, 0.5, 0.7, 1.0)
WIDTH, GROWTH = 0.25, 0.56
"""Seconds grow with this power of the width: an undistilled step of that very student took 5.3, 7.4
and 11.6 ms at widths 0.25, 0.5 and 1 on one core."""

EPOCHS = 27
SPEC = f"""
study: {{name: utilisation}}
data: {{source: digits}}
teacher: {{model: {{family: convnet}}}}
students: [{{family: convnet, width: {{low: 0.1, high: 1.0}}}}]
methods: [none, kd]
training: {{epochs: {EPOCHS}}}
"""
"""Of the searches; no sampler is asked, so it does not matter what may be proposed."""

COST = TrialCost(samples=6_000, validation=1_200, places=784)
"""Of the training that the table is of."""


@dataclass(frozen=True)
class World:
    """What happens to the trainings of a search, whoever runs them.

    Attributes:
        seed: Of proposals, times, scores and restarts.
        trials: Proposals.
        noise: Standard deviation of the logarithm of a training's time.
        restarted: Share of the trials that are lost once at their end and trained again.
    """

    seed: int
    trials: int
    noise: float = 0.2
    restarted: float = 1 / 30

    def proposals(self) -> list[tuple[TrialRecord, float, float]]:
        """Each trial with the seconds of an epoch and its accuracy."""
        generator = np.random.default_rng(self.seed)
        found = []
        for number in range(self.trials):
            method = str(generator.choice(list(SECONDS)))
            width = float(generator.choice(WIDTHS))
            seconds = SECONDS[method] * (width / WIDTH) ** GROWTH / EPOCHS
            seconds *= np.exp(generator.normal(0, self.noise))
            seconds *= 1 + (generator.random() < self.restarted)
            accuracy = 1 - 0.3 * np.exp(generator.normal(0, 0.3)) * width**-0.3
            found.append((_record(number, method, width), float(seconds), float(accuracy)))
        return found


def _record(number: int, method: str, width: float) -> TrialRecord:
    size = _size(width)
    task = Task(
        model=ModelConfig(family="convnet", width=width, depth=3),
        method=MethodConfig(label=method),
        training=TrainingConfig(epochs=EPOCHS, batch_size=64),
        teacher=None if method == "none" else "teacher",
        views_seed=0,
        seed=0,
    )
    return TrialRecord(
        number=number,
        phase="search",
        task=task,
        parameter_count=size.parameters,
        macs=size.macs,
        bytes=size.bytes,
    )


_size = cache(lambda width: measure_config(
    ModelConfig(family="convnet", width=width, depth=3), of_images((1, 28, 28)), 10
))  # fmt: skip


class Proposals:
    """The trials of a world in their order, as a search asks for them; no sampler is told."""

    def __init__(self, records: Sequence[TrialRecord]) -> None:
        self._records = records

    def record(self, place: int) -> TrialRecord:
        return self._records[place]

    def tell(self, place: int, outcome: TrialRecord) -> None:
        """What comes of a trial changes none of the others."""


class Search:
    """A search of kdsearch over the trials of a world.

    Args:
        world: What is proposed, and how it comes out.
        workers: Trials at a time.
        deterministic: Whether the course is the same at any speed.
        scheduler: The name of what puts trials aside.

    Attributes:
        course: What was handed out: each trial, and the epochs that it was to train.
    """

    def __init__(self, world: World, workers: int, deterministic: bool, scheduler: str) -> None:
        self._proposals = world.proposals()
        changes = [
            f"search.trials={world.trials}",
            f"search.scheduler.name={scheduler}",
            f"resources.concurrent={workers}",
        ]
        records: Any = Proposals([record for record, *_ in self._proposals])
        self._jobs = ProposedJobs(
            parse_spec(SPEC, changes), records, {}, cost_of=COST, deterministic=deterministic
        )
        self.course: list[tuple[int, int]] = []

    def next(self) -> tuple[TrialRecord, float] | None:
        """The next stage of a training with its seconds; ``None``: an outcome must come first.

        Raises:
            NoMoreJobs: There will be no other.
        """
        record = self._jobs.next()
        if record is None:
            return None
        epochs = self._end(record) - len(record.epochs)
        self.course.append((record.number, epochs))
        return record, epochs * self._proposals[record.number][1]

    def ended(self, record: TrialRecord) -> None:
        """A stage has come to its end."""
        end, (_, seconds, accuracy) = self._end(record), self._proposals[record.number]
        scores = {"accuracy": accuracy, "averaged_accuracy": accuracy, "seconds": seconds}
        epochs = tuple(scores | {"epoch": epoch + 1} for epoch in range(end))
        status = "complete" if end == EPOCHS else "paused"
        self._jobs.ended(record.model_copy(update={"epochs": epochs, "status": status}))

    def _end(self, record: TrialRecord) -> int:
        return self._jobs.stage(record).until or EPOCHS


def run(search: Search, workers: int) -> Iterator[tuple[float, float]]:
    """Start and end of everything that the workers do, in the order of the starts."""
    running: list[tuple[float, int, TrialRecord]] = []
    clock, count, more = 0.0, 0, True
    while more or running:
        while more and len(running) < workers:
            try:
                found = search.next()
            except NoMoreJobs:
                more = False
                break
            if found is None:
                break
            record, seconds = found
            count += 1
            heapq.heappush(running, (clock + seconds, count, record))
            yield clock, clock + seconds
        if running:
            clock, _, record = heapq.heappop(running)
            search.ended(record)


def utilisation(search: Search, workers: int) -> float:
    """Share of the workers' time from the first start to the last end in which they train."""
    spans = np.array(list(run(search, workers)))
    return float((spans[:, 1] - spans[:, 0]).sum() / spans[:, 1].max() / workers)
