"""A study that is killed while its baselines are tuned, on real Ray Tune, ends as a whole one."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import kdsearch
from kdsearch.results.record import TrialRecord
from tests.drivers import Start, drivers, kill_when, to_the_end
from tests.fronts import assert_fronts_alike
from tests.user_study import TAUGHT, make_folder, train_teacher

pytestmark = pytest.mark.slow

EPOCHS = 6
CHANGES = [
    TAUGHT,
    "data.limit=600",
    "methods=[kd, dist]",
    "students=[{family: convnet, width: {low: 0.2, high: 0.5, log: true}}]",
    f"training.epochs={EPOCHS}",
    "training.weight_decay={low: 1.0e-5, high: 1.0e-3, log: true}",
    "search.trials=10",
    "finalists.max=3",
    "resources.concurrent=1",
]


def paused(file: Path) -> int:
    """How often the journal says that a training is paused."""
    return file.read_text().count('"status":"paused"') if file.exists() else 0


def told(study: kdsearch.Study) -> dict[int, Any]:
    """What became of each training that judged, but the time that it took."""

    def content(record: TrialRecord) -> tuple[Any, ...]:
        epochs = [{k: v for k, v in each.items() if k != "seconds"} for each in record.epochs]
        return record.task.key, record.status, epochs, record.test

    return {n: content(record) for n, record in study.directory.finalists.read().items()}


def test_a_study_killed_twice_while_its_baseline_is_tuned_ends_alike(tmp_path: Path) -> None:
    folder = make_folder(tmp_path)
    train_teacher(folder)
    with drivers(folder) as start:
        check_judging(folder, start)


def check_judging(folder: Path, start: Start) -> None:
    to_the_end(start("whole", False, *CHANGES))
    whole = kdsearch.Study.open(folder / "studies" / "whole")
    swept = [r for r in whole.directory.finalists.read().values() if r.phase == "baselines"]
    reached = Counter((len(record.epochs), record.status) for record in swept)
    # rungs after epoch 1 and epoch 2, of at least 3 configurations for each baseline
    assert set(reached) <= {(1, "stopped"), (2, "stopped"), (EPOCHS, "complete")}
    tuned = [each for each in whole.finalists() if each.trial.task.method.label != "none"]
    assert 1 <= reached[EPOCHS, "complete"] <= len(tuned)
    assert len(swept) >= 3 * reached[EPOCHS, "complete"]
    for finalist in tuned:
        assert len(finalist.runs) == len(finalist.baseline) == 2
        own, other = (
            {run.task.views_seed for run in runs} for runs in (finalist.runs, finalist.baseline)
        )
        assert own == other
        assert len(own | {finalist.trial.task.views_seed}) == 3
    assert not (whole.directory.weights / "paused").exists()

    file = folder / "studies" / "cut" / "finalists.jsonl"
    for count in (1, 3):
        process = start("cut", file.exists(), *CHANGES)
        assert kill_when(lambda count=count: paused(file) >= count, process)
        cut = kdsearch.Study.open(folder / "studies" / "cut")
        assert any(r.status == "paused" for r in cut.directory.finalists.read().values())
    to_the_end(start("cut", True, *CHANGES))
    assert told(cut) == told(whole)
    stages = [(r.number, len(r.epochs), r.status) for r in cut.directory.finalists.lines()]
    assert len(stages) == len(set(stages))
    assert_fronts_alike(cut.front, whole.front)
