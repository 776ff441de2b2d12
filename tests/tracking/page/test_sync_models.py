"""``sync`` of a study without ONNX files: its models as MlflowClient and onnxruntime know them."""

from __future__ import annotations

import shutil
from collections.abc import Callable

import mlflow
import mlflow.onnx
import numpy as np
import onnxruntime
import pytest
import torch

from kdsearch.api import sync_study
from kdsearch.data import Dataset, load_dataset
from kdsearch.export.student import load_student
from kdsearch.models import build_network
from kdsearch.models.weights import save_weights
from kdsearch.problems import Problem
from kdsearch.results.finalists import weights_file
from kdsearch.results.front_file import front_content
from kdsearch.results.record import TrialRecord
from kdsearch.results.study import Study
from kdsearch.spec.teaching import TEACHER
from kdsearch.tracking.page.registry import aliases
from kdsearch.tracking.recorder import Recorder
from kdsearch.tracking.store import Store
from tests.tracking.playing import finish, nested, play


@pytest.fixture
def data(study: Study) -> Dataset:
    return load_dataset(study.spec.data, Problem.of(study.spec))


@pytest.fixture
def old(study: Study, store: Store, records: list[TrialRecord], data: Dataset) -> Study:
    """A finished study whose weights are there, and whose students were never written as ONNX."""
    facts = study.state["data"] | {"fingerprint": data.fingerprint}
    known = study.state["teachers"][TEACHER] | {"key": "given", "weights": "t.pt"}
    study.directory.update(data=facts, teachers={TEACHER: known})
    for finalist in study.finalists():
        run = finalist.shipped
        assert run is not None
        torch.manual_seed(run.number)
        network = build_network(run.task.model, data.inputs, data.outputs).eval()
        save_weights(network, weights_file(study.directory.weights, run))
    recorder = Recorder(store)
    recorder.study_started(study)
    play(recorder, records)
    finish(recorder, study)
    assert recorder.failure is None
    study.directory.update(state="finished", reason=None, phase="done")
    return study


def test_sync_makes_and_registers_the_models_that_the_end_of_a_study_makes(
    old: Study, store: Store, data: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, name = store.client, old.spec.study.name
    assert client.search_registered_models() == []
    sync_study(old.directory.path)
    content, runs = front_content(old), nested(client, old)
    versions = client.search_model_versions(f"name = '{name}'")
    trials = {each.version: int(each.tags["trial"]) for each in versions}
    assert sorted(trials.values()) == sorted(row["trial"] for row in content["front"])
    found = client.get_registered_model(name).aliases
    assert {alias: trials[version] for alias, version in found.items()} == aliases(content)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store.uri)
    monkeypatch.setenv("MLFLOW_REGISTRY_URI", store.uri)
    samples = data.test.inputs["image"][:5]
    for each in versions:
        trial = trials[each.version]
        assert each.run_id == runs[trial].info.run_id
        model = mlflow.onnx.load_model(f"models:/{name}/{each.version}")
        session = onnxruntime.InferenceSession(model.SerializeToString())
        with torch.no_grad():
            expected = load_student(old.directory.student(trial))(samples).numpy()
        assert np.abs(session.run(None, {"image": samples.numpy()})[0] - expected).max() < 1e-5
    sync_study(old.directory.path)
    assert len(client.search_model_versions(f"name = '{name}'")) == len(versions)


def _data_gone(study: Study) -> None:
    study.directory.update(data=study.state["data"] | {"fingerprint": "0" * 64})


def _weights_gone(study: Study) -> None:
    shutil.rmtree(study.directory.weights)


@pytest.mark.parametrize(
    ("lose", "told"),
    [(_data_gone, "is not what it was when the study was made"), (_weights_gone, "are lost")],
)
def test_what_no_model_can_be_made_of_is_told_and_the_rest_is_synced(
    old: Study,
    store: Store,
    lose: Callable[[Study], None],
    told: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    lose(old)
    assert sync_study(old.directory.path) == store.uri
    lines = capsys.readouterr().err.splitlines()
    # the data are of all finalists, the weights of each its own
    assert len(lines) == (1 if lose is _data_gone else len(old.finalists()))
    assert all("not written" in line and told in line for line in lines)
    assert store.client.search_registered_models() == []
    assert store.client.get_run(old.state["mlflow"]["run_id"]).info.status == "FINISHED"
