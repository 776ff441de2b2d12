"""Actors stay warm while the search waits for a slow trial."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import ray
from ray import cloudpickle, tune

from kdsearch.execution.dispatcher import Places
from kdsearch.execution.jobs import Jobs, NoMoreJobs
from kdsearch.execution.observers import Observer
from kdsearch.execution.session import ray_session
from kdsearch.execution.tune_run import Runner
from kdsearch.results.record import Journal, TrialRecord
from kdsearch.spec import StudySpec
from tests.records import trial

SLOW, SLOW_SECONDS, START_SECONDS = 1, 3.0, 2.0


class Telling(tune.Trainable):
    """Tells its process; trial 1 is slow, and the first of each process waits for the other."""

    def setup(self, config: dict[str, Any], shared: dict[str, Any] | None = None) -> None:
        self._number, self._wait = config["number"], START_SECONDS

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self._number, self._wait = new_config["number"], 0.3
        return True

    def step(self) -> dict[str, Any]:
        time.sleep(self._wait + SLOW_SECONDS * (self._number == SLOW))
        report = {"epoch": 1.0, "seconds": 0.0, "accuracy": 0.5, "process": float(os.getpid())}
        return {"report": report, "done": True}


class Halting(Jobs):
    """Ten trials; none after the fourth is handed out before the slow one has ended."""

    def __init__(self) -> None:
        self._handed = 0
        self._slow_ended = False
        self.waited = False

    def next(self) -> TrialRecord | None:
        if self._handed == 10:
            raise NoMoreJobs
        if self._handed == 4 and not self._slow_ended:
            self.waited = True
            return None
        self._handed += 1
        return trial(self._handed - 1, None, 10).model_copy(update={"status": "running"})

    def ended(self, record: TrialRecord) -> None:
        self._slow_ended = self._slow_ended or record.number == SLOW


@pytest.fixture
def session(spec: StudySpec) -> Iterator[None]:
    if ray.is_initialized():
        pytest.skip("another test's Ray is there")
    with ray_session(spec, None):
        yield


@pytest.mark.slow
@pytest.mark.usefixtures("session")
def test_a_wait_costs_no_actor(spec: StudySpec, tmp_path: Path) -> None:
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    journal, jobs = Journal(tmp_path / "trials"), Halting()
    trainable: Any = Telling
    Runner({}, spec.resources, tmp_path / "tune", Observer(), trainable).run(
        jobs, journal, "run", Places()
    )
    records = journal.read()
    assert jobs.waited
    assert sorted(records) == list(range(10))
    assert all(record.reason is None for record in records.values())
    process = {number: record.epochs[-1]["process"] for number, record in records.items()}
    assert process[0] != process[SLOW]
    assert {process[number] for number in range(4, 10)} == {process[0], process[SLOW]}
