"""The finalists as ONNX models in MLflow, logged with their runs."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from mlflow.entities import LoggedModel, LoggedModelOutput
from mlflow.models import Model, ModelSignature
from mlflow.types import ColSpec, Schema, TensorSpec
from safetensors.numpy import load_file

from kdsearch.files import checksum
from kdsearch.results.limits import told_size
from kdsearch.results.naming import small_student_told
from kdsearch.results.study import Study
from kdsearch.tracking.lookup import STUDY
from kdsearch.tracking.page.note import Places
from kdsearch.tracking.store import Store

FILE, EXAMPLE = "student.onnx", "example.safetensors"
"""What a finalist's folder holds of it; one without, which cannot be ONNX, is no model here."""

_FORBIDDEN = re.compile(r"[/:.%\"']")


def log_models(
    store: Store, study: Study, content: Mapping[str, Any], places: Places
) -> dict[int, LoggedModel]:
    """Log each finalist that can be ONNX as a model.

    What is there already is not made again.

    Args:
        store: The reachable store.
        study: The finished study.
        content: That of ``front.json``.
        places: Where its runs are.

    Returns:
        The models, by trial.
    """
    rows = [row for row in content["front"] if _folder(study, row).joinpath(FILE).exists()]
    known = _logged(store, study) if rows else {}
    models = {}
    for row in rows:
        digest = checksum(_folder(study, row) / FILE)
        model = known.get((str(row["trial"]), digest))
        models[row["trial"]] = model or _log(store, study, content, row, digest, places)
    return models


def _folder(study: Study, row: Mapping[str, Any]) -> Path:
    return study.directory.student(row["trial"])


def _logged(store: Store, study: Study) -> dict[tuple[str, str], LoggedModel]:
    """The study's models that the store has whole, by trial and checksum."""
    found, token = {}, None
    condition = f"tags.{STUDY} = '{study.directory.inputs().id}'"
    while True:
        page = store.client.search_logged_models([store.experiment_id], condition, page_token=token)
        for model in page:
            if str(model.status) == "READY":
                found[model.tags["trial"], model.tags["sha256"]] = model
        token = page.token
        if not token:
            return found


def _log(
    store: Store,
    study: Study,
    content: Mapping[str, Any],
    row: Mapping[str, Any],
    digest: str,
    places: Places,
) -> LoggedModel:
    """A new model of a finalist, linked with its run."""
    client, run = store.client, places.trials[row["trial"]]
    name = _FORBIDDEN.sub("-", f"{row['method']} {told_size('parameters', row['parameters'])}")
    tags = {STUDY: study.directory.inputs().id, "trial": str(row["trial"]), "sha256": digest}
    facts = {"method": row["method"], "student": small_student_told(row)}
    model = client.create_logged_model(
        store.experiment_id, name, run, tags, facts, model_type="student"
    )
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "model"
        _save(_folder(study, row), target, model)
        client.log_model_artifacts(model.model_id, str(target))
    client.finalize_logged_model(model.model_id, "READY")
    client.log_outputs(run, [LoggedModelOutput(model.model_id, step=0)])
    names = [f"test_{content['objective']}", "gain", "retained"]
    known = client.get_run(run).data.metrics
    scores = {f"test/{each.removeprefix('test_')}" for each in names} | {
        f"size/{each}" for each in content["sizes"]
    }
    for each in sorted(scores & known.keys()):
        client.log_metric(run, each, known[each], model_id=model.model_id)
    return client.get_logged_model(model.model_id)


def _save(student: Path, target: Path, model: LoggedModel) -> None:
    """Write a finalist as MLflow keeps ONNX models: with signature and example, and no pickle."""
    import mlflow.onnx
    import onnx

    network = onnx.load(student / FILE)
    mlflow.onnx.save_model(
        network,
        target,
        mlflow_model=Model(model_id=model.model_id, run_id=model.source_run_id),
        signature=_signature({each.key: each.value for each in network.metadata_props}),
        input_example=load_file(student / EXAMPLE),
        pip_requirements=[
            f"{package}=={version(package)}" for package in ("mlflow", "onnx", "onnxruntime")
        ],
        onnx_execution_providers=["CPUExecutionProvider"],
        save_as_external_data=False,
    )


def _signature(facts: Mapping[str, str]) -> ModelSignature:
    """Inputs by name with any number of samples, and the columns of the output."""
    inputs: list[ColSpec | TensorSpec] = [
        TensorSpec(
            np.dtype(each["type"]),
            [-1 if isinstance(size, str) else size for size in each["shape"]],
            each["name"],
        )
        for each in json.loads(facts["inputs"])
    ]
    columns = max(task["columns"][1] for task in json.loads(facts["tasks"]))
    outputs = TensorSpec(np.dtype("float32"), [-1, columns], "outputs")
    return ModelSignature(Schema(inputs), Schema([outputs]))
