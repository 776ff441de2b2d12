"""A study whose driver is killed at ten moments, each time resumed: to the same front."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

import kdsearch
from kdsearch.results.directory import StudyDirectory
from tests.drivers import Start, come_so_far, drivers, kill_when, to_the_end
from tests.fronts import assert_fronts_alike
from tests.object_store import ObjectStore, object_store
from tests.user_study import make_folder

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
MOMENTS = 10


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_folder(tmp_path_factory.mktemp("killed"))


@pytest.fixture(scope="module")
def store() -> Iterator[ObjectStore]:
    with object_store() as made:
        yield made


@pytest.fixture(scope="module")
def start(folder: Path, store: ObjectStore) -> Iterator[Start]:
    """Drivers, and workers, that may use the object store."""
    with drivers(folder) as started:
        yield lambda name, resume, *changes: started(name, resume, *CHANGES, *changes)


def complete(path: Path) -> dict[tuple[str, int], str]:
    """Every complete training as the journals have it."""
    directory = StudyDirectory(path)
    return {
        (record.phase, record.number): record.model_dump_json()
        for journal in (directory.trials, directory.finalists)
        for record in journal.read().values()
        if record.status == "complete"
    }


@pytest.fixture(scope="module")
def whole(folder: Path, start: Start) -> kdsearch.Study:
    """The study that nothing disturbed."""
    to_the_end(start("whole", False))
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


def test_a_driver_that_is_killed_at_ten_moments_comes_to_the_same_front(
    folder: Path, start: Start, whole: kdsearch.Study
) -> None:
    count = come_so_far(whole.directory.path)[1]
    path = folder / "studies" / "killed"
    moments = [("teacher", 0), *(("", 1 + count * k // (MOMENTS - 2)) for k in range(MOMENTS - 2))]
    before: dict[tuple[str, int], str] = {}
    kills = 0
    for phase, least in [*moments, ("report", 0)]:
        process = start("killed", (path / "study.json").exists())

        def reached(phase: str = phase, least: int = least) -> bool:
            now, held = come_so_far(path)
            return now == phase if phase else held >= least

        kills += kill_when(reached, process)
        after = complete(path)
        assert before.items() <= after.items()
        before = after
    assert kills >= MOMENTS - 1

    to_the_end(start("killed", True))
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
        assert kill_when(lambda least=least: come_so_far(path)[1] >= least, process)
        assert come_so_far(path)[0] == "search"
    to_the_end(start("far", True, storage))
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
