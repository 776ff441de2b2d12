"""A study made by hand: its files are real, its trainings made up."""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path

import pytest

from kdsearch.execution.jobs import NoMoreJobs
from kdsearch.models import of_images
from kdsearch.results.directory import StudyDirectory
from kdsearch.results.judging import Judging
from kdsearch.results.record import TrialRecord
from kdsearch.results.resume import DataFacts, Inputs
from kdsearch.results.study import Study
from kdsearch.search.judging_jobs import JudgingJobs
from kdsearch.space.architectures import Architectures
from kdsearch.spec import MethodConfig, TermConfig, parse_spec
from kdsearch.spec.teaching import TEACHER
from kdsearch.tracking.store import Store, open_store
from kdsearch.tracking.uri import tracking_uri
from tests.conftest import TEXT
from tests.records import trial

POINTS = [(0.50, 100), (0.80, 1_000), (0.70, 2_000), (0.95, 9_000), (None, 500), (0.93, 12_000)]


def with_kd(record: TrialRecord) -> TrialRecord:
    term = TermConfig(name="kd", hyperparameters={"temperature": 4.0, "weight": 0.9})
    method = MethodConfig(label="kd", ce_weight=0.1, terms=(term,))
    training = record.task.training.model_copy(update={"epochs": 1})  # too short for rungs
    task = record.task.model_copy(update={"method": method, "training": training})
    return record.model_copy(update={"task": task})


def of_width(record: TrialRecord, width: float) -> TrialRecord:
    model = record.task.model.model_copy(update={"width": width})
    return record.model_copy(update={"task": record.task.model_copy(update={"model": model})})


def history(record: TrialRecord, epochs: int) -> TrialRecord:
    reports = tuple(
        {
            "epoch": float(epoch),
            "loss": 1.0 / epoch,
            "accuracy": record.scores.get("accuracy", 0.1) if epoch == epochs else 0.05 * epoch,
            "nll": 0.5,
            "ece": 0.01 * epoch,
            "agreement": 0.6 + 0.01 * epoch,
            "kl": 1.5 / epoch,
            "lr": 0.1,
            "seconds": 1.0,
        }
        for epoch in range(1, epochs + 1)
    )
    return record.model_copy(update={"epochs": reports})


def take(jobs: JudgingJobs) -> TrialRecord | None:
    """The next training, if there is one."""
    try:
        return jobs.next()
    except NoMoreJobs:
        return None


@pytest.fixture
def records() -> list[TrialRecord]:
    """Six trials: four complete with kd, one without a teacher, one failed."""
    made = [
        of_width(history(trial(number, accuracy, size), 3), 1 + number / 8)
        for number, (accuracy, size) in enumerate(POINTS)
    ]
    made = [record if record.number == 2 else with_kd(record) for record in made]
    failed = made[4].model_copy(update={"reason": "the loss became nan in epoch 3"})
    return [*made[:4], failed, made[5]]


@pytest.fixture
def study(tmp_path: Path, records: list[TrialRecord]) -> Study:
    """The study on disk, with its finalists ended."""
    spec = parse_spec(TEXT.format(directory=tmp_path))
    directory = StudyDirectory.of(spec)
    data = DataFacts(
        name="digits", fingerprint="f" * 64, train=300, validation=80, inputs={"image": (1, 8, 8)}
    )
    directory.create(spec, Inputs(id="1234", data=data, checkpoints={}))
    directory.update(
        state="running",
        data=data.model_dump(),
        teachers={TEACHER: {"size": {"parameters": 100_000, "macs": 200_000, "bytes": 400_000}}},
    )
    for record in records:
        directory.trials.append(record)
    study = Study(directory)
    members = [finalist.trial for finalist in study.finalists()]
    jobs = JudgingJobs(
        Judging(spec, members, records, {}), {}, Architectures(of_images((1, 8, 8)), 10)
    )
    for record in iter(partial(take, jobs), None):
        lift = 0.1 if record.task.method.label == "kd" else 0.0
        accuracy = 0.5 + 0.01 * record.number + lift
        score = {"accuracy": accuracy, "nll": 1.0, "ece": 0.1 - 0.1 * accuracy, "kl": 0.25}
        score["agreement"] = 0.9 * accuracy
        update = {"status": "complete", "test": score if record.phase == "finalists" else None}
        ended = history(record.model_copy(update=update), 2)
        directory.finalists.append(ended)
        jobs.ended(ended)
    return study


@pytest.fixture
def store(study: Study, empty_database: Path) -> Store:
    """The study's own store: a SQLite file without experiments."""
    tracking = study.spec.tracking
    shutil.copy(empty_database, tracking_uri(tracking).removeprefix("sqlite:///"))
    return open_store(tracking)
