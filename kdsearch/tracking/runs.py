"""MLflow runs of a study: how the parent and the nested runs are made and filled."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any

from mlflow.entities import Metric, Param
from mlflow.utils.mlflow_tags import MLFLOW_GIT_COMMIT, MLFLOW_PARENT_RUN_ID, MLFLOW_RUN_NAME

from kdsearch.search.record import TrialRecord
from kdsearch.search.study import Study
from kdsearch.search.tables import describe_trial
from kdsearch.tracking.provenance import git_commit, versions
from kdsearch.tracking.store import Store

BATCH = 900
"""MLflow takes at most 1000 metrics a call."""

EPOCH_METRICS = {
    "loss": "train_loss",
    "accuracy": "validation_accuracy",
    "nll": "validation_nll",
    "lr": "learning_rate",
    "seconds": "epoch_seconds",
    "epoch": "epoch",
}
"""Keys of an epoch's report, and what MLflow calls them."""


def create_parent(store: Store, study: Study) -> str:
    """Make the run of a study, with spec, versions, commit and data fingerprint; its id."""
    tags = {
        MLFLOW_RUN_NAME: study.spec.study.name,
        "kind": "study",
        "data_fingerprint": study.state["data"]["fingerprint"],
        **{f"version.{name}": version for name, version in versions().items()},
    }
    commit = git_commit()
    if commit:
        tags[MLFLOW_GIT_COMMIT] = commit
    run = store.client.create_run(store.experiment_id, tags=tags).info.run_id
    spec = study.spec
    parameters = {
        "seed": spec.study.seed,
        "data": spec.data.source,
        "teacher": json.dumps(spec.teacher.model.model_dump(mode="json")),
        "methods": ", ".join(spec.methods),
        "trials": spec.search.trials,
        "sampler": spec.search.sampler,
        "size": spec.search.size,
        "epochs": spec.training.epochs,
    }
    store.client.log_batch(run, params=params(parameters))
    for name in ("spec.yaml", "resolved.yaml"):
        store.client.log_artifact(run, str(study.directory.path / name))
    return run


def create_nested(store: Store, parent: str, record: TrialRecord) -> str:
    """Make the run of a training, with its parameters and sizes; its id."""
    facts = describe_trial(record)
    label = record.task.method.label
    name = f"{label}-{record.number:04d}"
    tags = {
        MLFLOW_PARENT_RUN_ID: parent,
        MLFLOW_RUN_NAME: name if record.phase == "search" else f"{record.phase}-{name}",
        "kind": "trial",
        "phase": record.phase,
        "number": str(record.number),
        "method": label,
    }
    run = store.client.create_run(store.experiment_id, tags=tags).info.run_id
    chosen = ("method", "family", "width", "depth", "lr", "weight_decay")
    parameters = {key: facts[key] for key in chosen} | facts["hyperparameters"]
    parameters |= {"ce_weight": record.task.method.ce_weight, "seed": record.task.seed}
    sizes = {key: facts[key] for key in ("parameters", "macs", "bytes")}
    store.client.log_batch(run, metrics=metrics(sizes), params=params(parameters))
    return run


def log_epochs(store: Store, run: str, reports: list[dict[str, float]], prefix: str = "") -> None:
    """Write the reports of finished epochs, each at its step."""
    found = [
        metric
        for report in reports
        for metric in metrics(
            {prefix + name: report[key] for key, name in EPOCH_METRICS.items()},
            int(report["epoch"]),
        )
    ]
    for start in range(0, len(found), BATCH):
        store.client.log_batch(run, metrics=found[start : start + BATCH])


def end_nested(store: Store, run: str, record: TrialRecord) -> None:
    """Write what a training ended with: its test scores, or the reason of its failure."""
    if record.test:
        scores = {f"test_{name}": value for name, value in record.test.items()}
        store.client.log_batch(run, metrics=metrics(scores))
    if record.reason:
        store.client.set_tag(run, "reason", record.reason)
    store.client.set_terminated(run, "FAILED" if record.reason else "FINISHED")


@dataclass(frozen=True)
class Nested:
    """What the store knows of a training.

    Attributes:
        run: Id of its run.
        epochs: Epochs that were written.
        closed: Whether its end was written too.
    """

    run: str
    epochs: int
    closed: bool


def find_nested(store: Store, parent: str) -> dict[tuple[str, int], Nested]:
    """The nested runs of a study, by phase and number."""
    found: dict[tuple[str, int], Nested] = {}
    token = None
    while True:
        page = store.client.search_runs(
            [store.experiment_id],
            f"tags.`{MLFLOW_PARENT_RUN_ID}` = '{parent}'",
            page_token=token,
        )
        for run in page:
            key = (run.data.tags["phase"], int(run.data.tags["number"]))
            found[key] = Nested(
                run.info.run_id,
                int(run.data.metrics.get("epoch", 0)),
                run.info.status in ("FINISHED", "FAILED"),
            )
        token = page.token
        if not token:
            return found


def metrics(values: dict[str, Any], step: int = 0) -> list[Metric]:
    """Numbers as metrics of now; what is not a number is left out."""
    now = int(time.time() * 1000)
    return [
        Metric(name, float(value), now, step)
        for name, value in values.items()
        if value is not None and value == value
    ]


def params(values: dict[str, Any]) -> list[Param]:
    """Values as parameters; what is absent is left out."""
    return [Param(name, str(value)) for name, value in values.items() if value is not None]
