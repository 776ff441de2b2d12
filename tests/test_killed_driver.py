"""A study whose driver is killed at twenty moments, each time resumed: to the same front."""

from __future__ import annotations

import json
import multiprocessing
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from multiprocessing.process import BaseProcess
from pathlib import Path

import pandas as pd
import pytest
import ray

import kdsearch
from kdsearch.results.directory import StudyDirectory
from tests.driving import drive
from tests.fronts import assert_fronts_alike
from tests.object_store import ObjectStore, object_store
from tests.user_study import lines, make_folder

pytestmark = pytest.mark.slow

CHANGES = [
    "methods=[none, kd]",
    "students=[{family: convnet, width: {low: 0.2, high: 1.0, log: true}}]",
    "training.epochs=4",
    "search.trials=14",
    "search.scheduler={name: halving, rungs: [0.25, 0.5], reduction: 2}",
    "finalists={max: 2, seeds: 2, int8: false, latency: false}",
    "resources.concurrent=1",
    "resources.checkpoint_minutes=0.000001",
]
MOMENTS = 20
Start = Callable[..., BaseProcess]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_folder(tmp_path_factory.mktemp("killed"))


@pytest.fixture(scope="module")
def store() -> Iterator[ObjectStore]:
    with object_store() as made:
        yield made


@pytest.fixture(scope="module")
def address(folder: Path, store: ObjectStore) -> Iterator[str]:
    """A Ray that outlives the drivers, and whose workers may use the object store."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(folder), prepend=os.pathsep)
        quiet = {"include_dashboard": False, "log_to_driver": False, "logging_level": "error"}
        yield ray.init(address="local", num_cpus=2, **quiet).address_info["address"]
        ray.shutdown()


@pytest.fixture(scope="module")
def start(folder: Path, address: str) -> Start:
    """Start a driver in a process of its own, which has the imports already."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["mlflow", "optuna", "torch"])

    def started(name: str, resume: bool, *changes: str) -> BaseProcess:
        # the server of the forks may be older than this Ray's token and the store's keys
        needed = {key: v for key, v in os.environ.items() if key.startswith(("AWS_", "RAY_"))}
        given = (needed, folder, name, address, resume, *CHANGES, *changes)
        process = context.Process(target=drive, args=given)
        process.start()
        return process

    return started


def come_so_far(path: Path) -> tuple[str, int]:
    """The phase of a study, and how much its journals hold."""
    try:
        phase = json.loads((path / "study.json").read_text()).get("phase", "")
    except OSError:
        return "", 0
    return phase, lines(path / "trials.jsonl") + lines(path / "finalists.jsonl")


def complete(path: Path) -> dict[tuple[str, int], str]:
    """Every complete training as the journals have it."""
    directory = StudyDirectory(path)
    return {
        (record.phase, record.number): record.model_dump_json()
        for journal in (directory.trials, directory.finalists)
        for record in journal.read().values()
        if record.status == "complete"
    }


def kill_when(reached: Callable[[str, int], bool], process: BaseProcess, path: Path) -> int:
    """Kill a driver when its study has come so far; whether it was, as a number."""
    deadline = time.monotonic() + 300
    while process.is_alive() and time.monotonic() < deadline:
        if reached(*come_so_far(path)):
            process.kill()
            process.join(60)
            return 1
        time.sleep(0.005)
    process.join(60)
    return 0


@pytest.fixture(scope="module")
def whole(folder: Path, start: Start) -> kdsearch.Study:
    """The study that nothing disturbed."""
    unbroken = start("whole", False)
    unbroken.join(600)
    assert unbroken.exitcode == 0
    return kdsearch.Study.open(folder / "studies" / "whole")


def assert_each_once(study: kdsearch.Study) -> None:
    for journal in (study.directory.trials, study.directory.finalists):
        ends = Counter(record.number for record in journal.lines() if record.status == "complete")
        assert set(ends.values()) == {1}
        assert not any(record.status == "failed" for record in journal.lines())


def assert_alike(study: kdsearch.Study, whole: kdsearch.Study) -> None:
    columns = ["trial", "method", "width", "lr", "status", "epochs", "validation_accuracy"]
    pd.testing.assert_frame_equal(study.trials[columns], whole.trials[columns])
    assert_fronts_alike(study.front, whole.front)


def test_a_driver_that_is_killed_at_twenty_moments_comes_to_the_same_front(
    folder: Path, start: Start, whole: kdsearch.Study
) -> None:
    count = come_so_far(whole.directory.path)[1]
    path = folder / "studies" / "killed"
    moments = [("teacher", 0), *(("", 1 + count * k // (MOMENTS - 2)) for k in range(MOMENTS - 2))]
    before: dict[tuple[str, int], str] = {}
    kills = 0
    for phase, least in [*moments, ("report", 0)]:
        process = start("killed", (path / "study.json").exists())

        def reached(now: str, held: int, phase: str = phase, least: int = least) -> bool:
            return now == phase if phase else held >= least

        kills += kill_when(reached, process, path)
        after = complete(path)
        assert before.items() <= after.items()
        before = after
    assert kills >= MOMENTS - 1

    last = start("killed", True)
    last.join(300)
    assert last.exitcode == 0
    study = kdsearch.Study.open(path)
    assert before.items() <= complete(path).items()
    assert_each_once(study)
    assert_alike(study, whole)


def test_a_study_goes_on_from_a_bucket_to_the_same_front(
    folder: Path, start: Start, whole: kdsearch.Study, store: ObjectStore
) -> None:
    """Its driver is killed twice in the search; what waits at a rung, and no more, stays there."""
    path = folder / "studies" / "far"
    known = len(whole.trials)
    storage = f"resources.storage={store.uri('studies')}"
    for least in (known, 2 * known):
        process = start("far", (path / "study.json").exists(), storage)
        assert kill_when(lambda _, held, least=least: held >= least, process, path)
        assert come_so_far(path)[0] == "search"
    last = start("far", True, storage)
    last.join(300)
    assert last.exitcode == 0
    kept = store.names("training.pt")
    study = kdsearch.Study.open(path)
    assert_each_once(study)
    assert_alike(study, whole)
    records = [*study.directory.trials.read().values(), *study.directory.finalists.read().values()]
    waiting = {record.checkpoint for record in records if record.checkpoint is not None}
    found = {name.removeprefix("studies/").removesuffix("/training.pt") for name in kept}
    assert waiting
    assert waiting <= found
    assert len(found) <= len(waiting) + 2  # a kill may leave what its journal does not know yet
