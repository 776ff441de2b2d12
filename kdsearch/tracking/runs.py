"""MLflow runs of a study: how the parent and the nested runs are made and filled."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from mlflow.entities import Metric, Param
from mlflow.utils.mlflow_tags import MLFLOW_GIT_COMMIT, MLFLOW_PARENT_RUN_ID, MLFLOW_RUN_NAME

from kdsearch.results.record import TrialRecord
from kdsearch.results.study import Study
from kdsearch.results.tables import describe_trial
from kdsearch.spec.sections import SEARCHED_TRAINING
from kdsearch.tracking.lookup import STUDY
from kdsearch.tracking.provenance import git_commit, versions
from kdsearch.tracking.store import Store
from kdsearch.training.measured import MEASURED

BATCH = 900
"""MLflow takes at most 1000 metrics a call."""

EPOCH_METRICS = {
    "loss": "train_loss",
    "lr": "learning_rate",
    "seconds": "epoch_seconds",
    "epoch": "epoch",
    **{name: name for name in MEASURED},
}
"""Keys of an epoch's report that are no scores, and what MLflow calls them; the scores are
``validation_`` and their metrics' names."""


def create_parent(store: Store, study: Study) -> str:
    """Make the run of a study, still without parameters and files; its id."""
    inputs = study.directory.inputs()
    tags = {
        MLFLOW_RUN_NAME: study.spec.study.name,
        "kind": "study",
        STUDY: inputs.id,
        "data_fingerprint": inputs.data.fingerprint,
        **{f"version.{name}": version for name, version in versions().items()},
    }
    commit = git_commit()
    if commit:
        tags[MLFLOW_GIT_COMMIT] = commit
    return store.client.create_run(store.experiment_id, tags=tags).info.run_id


def describe_parent(store: Store, run: str, study: Study) -> None:
    """Write the spec, as files and as parameters; those come last, so they tell that all is in."""
    for name in ("spec.yaml", "resolved.yaml"):
        store.client.log_artifact(run, str(study.directory.path / name))
    spec = study.spec
    parameters = {
        "seed": spec.study.seed,
        "data": spec.data.source,
        "teacher": json.dumps(spec.teacher.model.model_dump(mode="json")),
        "methods": ", ".join(spec.methods),
        "trials": spec.search.trials,
        "sampler": spec.search.sampler,
        "objective": ", ".join((study.objectives.score, *study.objectives.more)),
        "size": ", ".join(spec.search.size),
        "epochs": spec.training.epochs,
    }
    store.client.log_batch(run, params=params(parameters))


def create_nested(store: Store, parent: str, record: TrialRecord) -> str:
    """Make the run of a training, still without parameters and sizes; its id."""
    label = record.task.method.label
    name = f"{label}-{record.number:04d}"
    tags = {
        MLFLOW_PARENT_RUN_ID: parent,
        MLFLOW_RUN_NAME: name if record.phase == "search" else f"{record.phase}-{name}",
        "kind": "trial",
        "phase": record.phase,
        "number": str(record.number),
        "task": record.task.key,
        "method": label,
    }
    return store.client.create_run(store.experiment_id, tags=tags).info.run_id


@dataclass(frozen=True)
class Description:
    """What is known of a training before it begins.

    Attributes:
        parameters: Its values.
        sizes: Its student's sizes.
    """

    parameters: list[Param]
    sizes: list[Metric]


def describe_nested(record: TrialRecord) -> Description:
    """A training's parameters and sizes."""
    facts = describe_trial(record)
    chosen = ("method", "teacher", "family", "width", "depth", "stored", *SEARCHED_TRAINING)
    parameters = {key: facts[key] for key in chosen} | facts["hyperparameters"]
    parameters |= {
        key: value for key, value in facts.items() if key == "inputs" or key.startswith("task.")
    }
    parameters |= {"ce_weight": record.task.method.ce_weight, "seed": record.task.seed}
    sizes = {key: facts[key] for key in ("parameters", "macs", "bytes", "latency")}
    return Description(params(parameters), metrics(sizes))


def log_epochs(
    store: Store,
    run: str,
    reports: Sequence[dict[str, float]],
    prefix: str = "",
    description: Description | None = None,
) -> Iterator[int]:
    """Write the reports of finished epochs, each at its step.

    Args:
        store: The store.
        run: Id of the run.
        reports: Of the epochs.
        prefix: Stands before the names.
        description: Written with the first of them: a call costs more than what it brings.

    Yields:
        After each batch, the last epoch that is in; 0 if there is none.
    """
    first = description or Description([], [])
    longest = max((len(report) for report in reports), default=1)
    step = (BATCH - len(first.sizes)) // longest
    for start in range(0, max(len(reports), 1 if description else 0), step):
        batch = reports[start : start + step]
        found = [
            metric
            for report in batch
            for metric in metrics(
                {prefix + _epoch_metric(key): value for key, value in report.items()},
                int(report["epoch"]),
            )
        ]
        store.client.log_batch(run, metrics=first.sizes + found, params=first.parameters)
        first = Description([], [])
        yield int(batch[-1]["epoch"]) if batch else 0


def end_nested(store: Store, run: str, record: TrialRecord) -> str:
    """Write what a training ended with: its test scores, or the reason of its early end.

    Returns:
        The state of its run.
    """
    if record.test:
        scores = {f"test_{name}": value for name, value in record.test.items()}
        store.client.log_batch(run, metrics=metrics(scores))
    if record.reason:
        store.client.set_tag(run, "reason", record.reason)
    if record.status == "stopped":
        store.client.set_tag(run, "stopped", f"after {len(record.epochs)} epochs")
    status = "FAILED" if record.reason else "FINISHED"
    store.client.set_terminated(run, status)
    return status


def _epoch_metric(key: str) -> str:
    """What MLflow calls a value of an epoch's report."""
    return EPOCH_METRICS.get(key, f"validation_{key}")


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
