"""A study whose driver is killed at twenty moments, each time resumed: to the same front."""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from multiprocessing.process import BaseProcess
from pathlib import Path

import pandas as pd
import pytest
import ray

import kdsearch
from kdsearch.results.directory import StudyDirectory
from tests.user_study import lines, make_folder

pytestmark = pytest.mark.slow

CHANGES = [
    "methods=[none, kd]",
    "students=[{family: convnet, width: {low: 0.2, high: 1.0, log: true}}]",
    "training.epochs=4",
    "search.trials=14",
    "search.scheduler={name: halving, rungs: [0.25, 0.5], reduction: 2}",
    "finalists={max: 2, seeds: 2}",
    "resources.concurrent=1",
    "resources.checkpoint_minutes=0.000001",
]
MOMENTS = 20


def drive(folder: Path, name: str, address: str, resume: bool) -> None:
    """The driver: one process that runs the study as far as it gets."""
    os.chdir(folder)
    sys.path.insert(0, str(folder))
    spec = kdsearch.load_spec("space.yaml", [f"study.name={name}", *CHANGES])
    with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere):
        kdsearch.run_study(spec, resume=resume, address=address)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_folder(tmp_path_factory.mktemp("killed"))


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    """A Ray that outlives the drivers."""
    if ray.is_initialized():
        pytest.skip("another test's Ray is there")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(folder), prepend=os.pathsep)
        quiet = {"include_dashboard": False, "log_to_driver": False, "logging_level": "error"}
        yield ray.init(address="local", num_cpus=2, **quiet).address_info["address"]
        ray.shutdown()


@pytest.fixture(scope="module")
def start(folder: Path, address: str) -> Callable[[str, bool], BaseProcess]:
    """Start a driver in a process of its own, which has the imports already."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["kdsearch.api"])

    def started(name: str, resume: bool) -> BaseProcess:
        process = context.Process(target=drive, args=(folder, name, address, resume))
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


def test_a_driver_that_is_killed_at_twenty_moments_comes_to_the_same_front(
    folder: Path, start: Callable[[str, bool], BaseProcess]
) -> None:
    unbroken = start("whole", False)
    unbroken.join(300)
    assert unbroken.exitcode == 0
    whole = kdsearch.Study.open(folder / "studies" / "whole")
    count = come_so_far(whole.directory.path)[1]

    path = folder / "studies" / "killed"
    moments = [("teacher", 0), *(("", 1 + count * k // (MOMENTS - 2)) for k in range(MOMENTS - 2))]
    before: dict[tuple[str, int], str] = {}
    kills = 0
    for phase, least in [*moments, ("report", 0)]:
        process = start("killed", (path / "study.json").exists())
        deadline = time.monotonic() + 120
        while process.is_alive() and time.monotonic() < deadline:
            now, held = come_so_far(path)
            if now == phase if phase else held >= least:
                process.kill()
                kills += 1
                break
            time.sleep(0.005)
        process.join(60)
        after = complete(path)
        assert before.items() <= after.items()
        before = after
    assert kills >= MOMENTS - 1

    last = start("killed", True)
    last.join(300)
    assert last.exitcode == 0
    study = kdsearch.Study.open(path)
    assert before.items() <= complete(path).items()
    for journal in (study.directory.trials, study.directory.finalists):
        ends = Counter(record.number for record in journal.lines() if record.status == "complete")
        assert set(ends.values()) == {1}
        assert not any(record.status == "failed" for record in journal.lines())
    columns = ["trial", "method", "width", "lr", "status", "epochs", "validation_accuracy"]
    pd.testing.assert_frame_equal(study.trials[columns], whole.trials[columns])
    pd.testing.assert_frame_equal(study.front, whole.front)
