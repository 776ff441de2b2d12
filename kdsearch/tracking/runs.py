"""MLflow runs of a study: how the study's own and those of its trainings are made and filled."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mlflow.entities import Metric, Param, RunTag
from mlflow.utils.mlflow_tags import MLFLOW_GIT_COMMIT, MLFLOW_PARENT_RUN_ID, MLFLOW_RUN_NAME

from kdsearch.problems import error_name
from kdsearch.report.colours import method_colour
from kdsearch.results.naming import network_told
from kdsearch.results.record import TrialRecord
from kdsearch.results.study import Study
from kdsearch.tracking.described import Description, rounded, run_name
from kdsearch.tracking.lineage import Lineage
from kdsearch.tracking.lookup import EPOCHS, KEY_DIGITS, KIND, STUDY
from kdsearch.tracking.page.data import dataset_input
from kdsearch.tracking.page.note import NOTE, running_note
from kdsearch.tracking.provenance import git_commit, versions
from kdsearch.tracking.store import Store
from kdsearch.training.measured import MEASURED
from kdsearch.ways import way_label

BATCH = 900
"""MLflow takes at most 1000 metrics a call."""

RUN_COLOUR = "mlflow.runColor"
"""Tag by which MLflow's UI colours a run; it promises nothing."""

EPOCH_METRICS = {
    "loss": "train/loss",
    "lr": "train/learning_rate",
    "seconds": "train/epoch_seconds",
    **{name: f"size/{name}" for name in MEASURED},
}
"""Keys of an epoch's report that are no scores, and what MLflow calls them."""


def create_parent(store: Store, study: Study) -> str:
    """Make the run of a study, still without parameters and files; its id."""
    inputs = study.directory.inputs()
    tags = {
        MLFLOW_RUN_NAME: study.spec.study.name,
        KIND: "study",
        STUDY: inputs.id,
        "data_fingerprint": inputs.data.fingerprint,
        **{f"version.{name}": version for name, version in versions().items()},
    }
    commit = git_commit()
    if commit:
        tags[MLFLOW_GIT_COMMIT] = commit
    created = _milliseconds(study.state.get("created"))
    return store.client.create_run(store.experiment_id, created, tags=tags).info.run_id


def describe_parent(store: Store, run: str, study: Study) -> None:
    """Write the spec, as files and as parameters; those come last, so they tell that all is in."""
    for name in ("spec.yaml", "resolved.yaml"):
        store.client.log_artifact(run, str(study.directory.path / name))
    spec, model = study.spec, study.spec.teacher.model
    parameters = {
        "seed": spec.study.seed,
        "data": spec.told_data,
        "teacher": network_told(model.family, model.width, model.depth),
        "methods": ", ".join(spec.methods),
        "trials": spec.search.trials,
        "sampler": spec.search.sampler,
        "objective": ", ".join((study.objectives.score, *study.objectives.more)),
        "size": ", ".join(spec.search.size),
        "epochs": spec.training.epochs,
    }
    store.client.log_inputs(run, [dataset_input(study)])
    store.client.set_tag(run, NOTE, running_note(study))
    store.client.log_batch(run, params=params(parameters))


def create_nested(
    store: Store, parent: str, study: Study, record: TrialRecord, lineage: Lineage
) -> str:
    """Make the run of a training, still without parameters and sizes; its id.

    Args:
        store: The store.
        parent: Id of the run that it is shown under.
        study: The study.
        record: The training.
        lineage: Tells what it is.
    """
    label = record.task.method.label
    tags = {
        MLFLOW_PARENT_RUN_ID: parent,
        MLFLOW_RUN_NAME: run_name(record, lineage),
        RUN_COLOUR: method_colour(label, study.spec.methods),
        KIND: lineage.kind(record),
        STUDY: study.directory.inputs().id,
        "phase": record.phase,
        "number": str(record.number),
        "task": record.task.key[:KEY_DIGITS],
        "method": label,
    }
    if study.spec.has_ways:
        tags["way"] = way_label(record.task.model.ways)
    trial = lineage.trial(record)
    if trial is not None:
        tags["trial"] = str(trial.number)
    # a study of an earlier version does not say when a training began
    started = _milliseconds(record.started or time.time() - record.seconds)
    return store.client.create_run(store.experiment_id, started, tags=tags).info.run_id


@dataclass(frozen=True)
class Batches:
    """How the reports of a training's epochs are written.

    Attributes:
        scores: What stands before the names of its scores.
        description: Written with the first of them: a call costs more than what it brings.
        started: When the training began, in seconds since 1970; absent: not known.
    """

    scores: str
    description: Description | None = None
    started: float | None = None

    def write(
        self, store: Store, run: str, reports: Sequence[Mapping[str, float]], before: float = 0.0
    ) -> Iterator[int]:
        """Write the reports of finished epochs, each at its step and at its time.

        Args:
            store: The store.
            run: Id of the run.
            reports: Of the epochs.
            before: Seconds that the epochs before them took.

        Yields:
            After each batch, the last epoch that is in; 0 if there is none.
        """
        told = self.description or Description({}, {})
        first, parameters = metrics(told.sizes), params(told.parameters)
        longest = max((len(report) for report in reports), default=1)
        step = max(1, (BATCH - len(first)) // longest)
        begun, passed = self.started or time.time(), before
        for start in range(0, max(len(reports), 1 if parameters else 0), step):
            batch, found = reports[start : start + step], first
            for report in batch:
                passed += report.get("seconds", 0.0)
                values = {self._name(key): value for key, value in report.items()}
                found = found + metrics(values, int(report["epoch"]), begun + passed)
            last = int(batch[-1]["epoch"]) if batch else 0
            tags = [RunTag(EPOCHS, str(last))] if last else []
            store.client.log_batch(run, metrics=found, params=parameters, tags=tags)
            first, parameters = [], []
            yield last

    def _name(self, key: str) -> str:
        """What MLflow calls a value of an epoch's report; nothing, where it tells nothing."""
        if key == "epoch" or key.endswith(error_name("")):
            return ""
        return EPOCH_METRICS.get(key, f"{self.scores}/{key}")


def end_nested(store: Store, run: str, record: TrialRecord) -> str:
    """Write what a training ended with: its test scores, or the reason of its early end.

    Returns:
        The state of its run.
    """
    tags = []
    if record.reason:
        tags.append(RunTag("reason", record.reason))
    if record.status == "stopped":
        tags.append(RunTag("stopped", f"after {len(record.epochs)} epochs"))
    scores = {f"test/{name}": value for name, value in (record.test or {}).items()}
    if scores or tags:
        found = metrics(_without_errors(scores), moment=record.finished)
        store.client.log_batch(run, metrics=found, tags=tags)
    status = "FAILED" if record.reason else "FINISHED"
    store.client.set_terminated(run, status, _milliseconds(record.finished))
    return status


def _without_errors(values: Mapping[str, float]) -> dict[str, float]:
    return {name: value for name, value in values.items() if not name.endswith(error_name(""))}


def metrics(values: Mapping[str, Any], step: int = 0, moment: float | None = None) -> list[Metric]:
    """Numbers as metrics; those without a name, and what is not a number, are left out.

    Sizes are whole, the others rounded. ``moment`` is in seconds since 1970; absent: now.
    """
    at = int(1000 * (moment or time.time()))
    return [
        Metric(name, float(value) if name.startswith("size/") else rounded(float(value)), at, step)
        for name, value in values.items()
        if name and value is not None and value == value
    ]


def params(values: Mapping[str, Any]) -> list[Param]:
    """Values as parameters, numbers rounded; what is absent is left out."""
    return [Param(name, _told(value)) for name, value in values.items() if value is not None]


def _told(value: Any) -> str:
    return f"{rounded(value):g}" if isinstance(value, float) else str(value)


def _milliseconds(moment: float | None) -> int | None:
    return None if moment is None else int(1000 * moment)
