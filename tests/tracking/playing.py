"""A store that can be cut off, and ways to play a study to a recorder."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.exceptions import MlflowException

from kdsearch.api import write_pictures
from kdsearch.export.report import write_tables
from kdsearch.results.record import TrialRecord
from kdsearch.results.study import Study
from kdsearch.tracking.recorder import Recorder
from kdsearch.tracking.store import Store


class FlakyClient:
    """Passes calls on to a real client, notes their names, and refuses some of them.

    Args:
        client: The real client.

    Attributes:
        calls: Names of the methods called since the list was last cleared.
        refuses: Says, by name and arguments of a call, whether it fails.
        error: What a refused call raises.
    """

    def __init__(self, client: MlflowClient) -> None:
        self._client = client
        self.calls: list[str] = []
        self.refuses: Callable[..., bool] = lambda name, *arguments, **options: False
        self.error: Exception = MlflowException("the store is away")

    def go_away(self) -> None:
        self.refuses = lambda name, *arguments, **options: True

    def come_back(self) -> None:
        self.refuses = lambda name, *arguments, **options: False

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)

        def call(*arguments: Any, **options: Any) -> Any:
            self.calls.append(name)
            if self.refuses(name, *arguments, **options):
                raise self.error
            return method(*arguments, **options)

        return call


def flaky(store: Store) -> tuple[Store, FlakyClient]:
    """The store behind a client that can be made to fail."""
    client: Any = FlakyClient(store.client)
    return replace(store, client=client), client


def play(recorder: Recorder, records: Sequence[TrialRecord]) -> None:
    """Tell of a search that runs from its start to its end."""
    recorder.phase_started("search", len(records), [])
    for record in records:
        begin(recorder, record, 0)
        begin(recorder, record, 1)
        recorder.trial_ended(record)


def begin(recorder: Recorder, record: TrialRecord, epochs: int) -> None:
    """Tell of a training that has come so far."""
    so_far = {"status": "running", "reason": None, "epochs": record.epochs[:epochs]}
    recorder.trial_epoch(record.model_copy(update=so_far))


def finish(recorder: Recorder, study: Study) -> None:
    """Write the files that the report takes, and the report."""
    write_tables(study)
    write_pictures(study)
    recorder.study_finished(study)


def nested(client: MlflowClient, study: Study) -> dict[int, Run]:
    """The nested runs of the search, by the trial's number; each number is there once."""
    known = study.state["mlflow"]
    runs = client.search_runs(
        [known["experiment_id"]],
        f"tags.`mlflow.parentRunId` = '{known['run_id']}' and tags.phase = 'search'",
    )
    found = {int(run.data.tags["number"]): run for run in runs}
    assert len(found) == len(runs)
    return found


ENDED = {number: "FAILED" if number == 4 else "FINISHED" for number in range(6)}
"""MLflow's words for the six trials of the study, once all have ended."""


def statuses(client: MlflowClient, study: Study) -> dict[int, str]:
    """MLflow's words for the states of the search's trials, by number."""
    return {number: run.info.status for number, run in nested(client, study).items()}


def steps(client: MlflowClient, run: str, metric: str) -> list[int]:
    """The steps of a metric's history, in order, with those written twice there twice."""
    return sorted(point.step for point in client.get_metric_history(run, metric))


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait for what the recorder's thread brings about."""
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


IDS = re.compile(r"(/|run_uuid=)[0-9a-f]{32}")
"""Ids of runs in addresses."""

PASSING = ("mlflow.parentRunId", "version.", "mlflow.source", "mlflow.user", "mlflow.artifact")


def copy_of(study: Study, uri: str) -> dict[str, Any]:
    """All that a store holds of a study, run by run, but ids and times."""
    client = MlflowClient(uri)
    (experiment,) = (e for e in client.search_experiments() if e.name == "kdsearch")
    runs = client.search_runs([experiment.experiment_id], max_results=1000)
    found: dict[str, Any] = {}
    for run in runs:
        if run.data.tags["study"] != study.directory.inputs().id:
            continue
        tags = {k: IDS.sub("/ID", v) for k, v in run.data.tags.items() if not k.startswith(PASSING)}
        name = [tags.get(each) for each in ("kind", "teacher", "phase", "number", "task")]
        assert str(name) not in found, "a run is there twice"
        found[str(name)] = {
            "status": run.info.status,
            "params": run.data.params,
            "tags": tags,
            "metrics": {
                key: [(point.step, point.value) for point in points(client, run.info.run_id, key)]
                for key in run.data.metrics
            },
            "files": sorted(item.path for item in client.list_artifacts(run.info.run_id)),
        }
    return found


def points(client: MlflowClient, run: str, key: str) -> list[Any]:
    return sorted(client.get_metric_history(run, key), key=lambda point: point.step)
