"""A ladder that is killed in its chains, on real Ray Tune, ends with the weights of a whole one."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import mlflow
import pytest
from safetensors.torch import load_file

import kdsearch
from kdsearch.results.record import TrialRecord
from tests.drivers import Start, drivers, kill_when, to_the_end
from tests.fronts import assert_fronts_alike
from tests.user_study import TAUGHT, make_folder, train_teacher

pytestmark = pytest.mark.slow

EPOCHS, SHORT, TRIALS, SEEDS = 6, 2, 9, 2
CHANGES = [
    TAUGHT,
    "data.limit=600",
    "methods=[none, kd, dist]",
    f"training.epochs={EPOCHS}",
    "search.strategy=ladder",
    f"search.trials={TRIALS}",
    "search.ladder.factor=1.5",
    f"finalists.seeds={SEEDS}",
    "finalists.max=2",
]


def test_a_ladder_that_is_killed_twice_ends_alike(tmp_path: Path) -> None:
    folder = make_folder(tmp_path)
    train_teacher(folder)
    with drivers(folder) as start:
        to_the_end(start("whole", False, *CHANGES))
        check_lineage(kdsearch.Study.open(folder / "studies" / "whole"))
        check_runs(kdsearch.Study.open(folder / "studies" / "whole"))
        check_resumed(folder, start)


def check_lineage(study: kdsearch.Study) -> None:
    """All epochs count, and every link says what it was cut from."""
    trials = study.directory.trials.read()
    assert sum(len(each.epochs) for each in trials.values()) <= TRIALS * EPOCHS
    links = [each for each in trials.values() if each.ladder == "links"]
    # a function of the user's own is cut as the families are
    assert {each.task.model.family for each in links} == {"convnet", "own_students:bottleneck"}
    known = {each.task.key: each for each in trials.values()}
    for each in links:
        assert each.task.parent is not None
        assert known[each.task.parent.key].complete
        assert len(each.epochs) == SHORT
    table = study.trials.set_index("trial")
    for number, each in trials.items():
        if each.complete:
            assert table.loc[number, "lineage_epochs"] == each.task.lineage_epochs
    judged = study.directory.finalists.read().values()
    for finalist in study.finalists():
        if finalist.trial.task.parent is not None:
            assert {len(finalist.runs), len(finalist.other)} == {SEEDS}
    assert Counter(each.phase for each in judged)["chains"] > 0
    assert set(study.front["start"]) <= {"scratch", "chain"}


def check_runs(study: kdsearch.Study) -> None:
    """MLflow has the lineage of every training."""
    place = study.state["mlflow"]
    client = mlflow.MlflowClient(place["uri"])
    runs = client.search_runs([place["experiment_id"]], max_results=1000)
    own = [run for run in runs if "task" in run.data.tags]
    by_key = {run.data.tags["task"]: run for run in own}
    cut = [run for run in own if run.data.params.get("cut_from")]
    assert cut
    for run in cut:
        wider = by_key[run.data.params["cut_from"]]
        shorter = int(run.data.params["lineage_epochs"]) - int(wider.data.params["lineage_epochs"])
        assert shorter == SHORT
        assert wider.data.metrics["size/parameters"] > run.data.metrics["size/parameters"]
    kinds = Counter(run.data.tags["kind"] for run in own)
    assert kinds["chain"] > 0
    trials = {run.info.run_id for run in own if run.data.tags["kind"] == "trial"}
    for run in own:
        if run.data.tags["kind"] in ("chain", "finalist", "baseline"):
            assert run.data.tags["mlflow.parentRunId"] in trials


def check_resumed(folder: Path, start: Start) -> None:
    whole = kdsearch.Study.open(folder / "studies" / "whole")
    path = folder / "studies" / "cut"

    def count(file: str, text: str) -> int:
        journal = path / file
        return journal.read_text().count(text) if journal.exists() else 0

    for reached in (
        lambda: count("trials.jsonl", '"ladder":"links"') >= 3,
        lambda: count("finalists.jsonl", '"phase":"chains"') >= 2,
    ):
        process = start("cut", path.exists(), *CHANGES)
        assert kill_when(reached, process)
    to_the_end(start("cut", True, *CHANGES))
    cut = kdsearch.Study.open(path)
    for name in ("trials", "finalists"):
        assert told(cut, name) == told(whole, name)
    assert_fronts_alike(cut.front, whole.front)
    for part in ("parents", "finalists"):
        files = sorted((whole.directory.path / part).glob("*.safetensors"))
        assert files
        for file in files:
            expected, found = load_file(file), load_file(path / part / file.name)
            assert expected.keys() == found.keys()
            for name, values in expected.items():
                assert values.equal(found[name]), (part, file.name, name)


def told(study: kdsearch.Study, journal: str) -> dict[int, Any]:
    """What became of each training, but the time that it took."""

    def content(record: TrialRecord) -> tuple[Any, ...]:
        epochs = [{k: v for k, v in each.items() if k != "seconds"} for each in record.epochs]
        return record.task.key, record.ladder, record.status, epochs, record.test

    return {n: content(each) for n, each in getattr(study.directory, journal).read().items()}
