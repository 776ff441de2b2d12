"""Finalists as models: read back by MlflowClient and MLflow's ONNX flavour, run by onnxruntime."""

from __future__ import annotations

import json
from pathlib import Path

import mlflow
import mlflow.onnx
import numpy as np
import onnxruntime
import pytest
import torch
from safetensors.numpy import save

from kdsearch.data import Scale
from kdsearch.files import checksum
from kdsearch.graphs.metadata import metadata_of
from kdsearch.graphs.onnx_file import to_onnx
from kdsearch.graphs.samples import SampleNetwork
from kdsearch.models import build_network, of_images
from kdsearch.problems import Head
from kdsearch.problems.head import side_by_side
from kdsearch.results.front_file import front_content
from kdsearch.results.pick import pick
from kdsearch.results.record import TrialRecord
from kdsearch.results.study import Study
from kdsearch.tracking.page.registry import aliases
from kdsearch.tracking.recorder import Recorder
from kdsearch.tracking.store import Store
from tests.tracking.playing import finish, nested, play

INPUTS = of_images((1, 8, 8))
HEADS = side_by_side((Head(name="digit", names=tuple("0123456789")),))


@pytest.fixture
def networks(study: Study, records: list[TrialRecord]) -> dict[int, SampleNetwork]:
    """An untrained network for each finalist, in the files that a study leaves of it."""
    found = {}
    for number in study.front["trial"]:
        torch.manual_seed(number)
        network = build_network(records[number].task.model, INPUTS, 10).eval()
        module = SampleNetwork(network, HEADS, INPUTS, {"image": Scale((0.3,), (0.2,))}).eval()
        folder = study.directory.student(number)
        folder.mkdir(parents=True)
        (folder / "student.safetensors").write_bytes(b"weights")
        told = {"sha256": checksum(folder / "student.safetensors")}
        (folder / "student.json").write_text(json.dumps(told))
        (folder / "student.onnx").write_bytes(to_onnx(module, metadata_of(module)))
        example = np.random.default_rng(number).integers(0, 256, (2, 1, 8, 8), dtype=np.uint8)
        (folder / "example.safetensors").write_bytes(save({"image": example}))
        found[int(number)] = module
    return found


@pytest.fixture
def finished(
    study: Study,
    store: Store,
    records: list[TrialRecord],
    networks: dict[int, SampleNetwork],
    monkeypatch: pytest.MonkeyPatch,
) -> Store:
    """The store of the study that has ended; MLflow's own functions look there too."""
    recorder = Recorder(store)
    recorder.study_started(study)
    play(recorder, records)
    finish(recorder, study)
    assert recorder.failure is None
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store.uri)
    monkeypatch.setenv("MLFLOW_REGISTRY_URI", store.uri)
    return store


def test_finalists_are_registered_under_the_study_with_an_alias_for_each_class(
    study: Study, finished: Store, networks: dict[int, SampleNetwork]
) -> None:
    client, name = finished.client, study.spec.study.name
    content, runs = front_content(study), nested(finished.client, study)
    versions = {each.version: each for each in client.search_model_versions(f"name = '{name}'")}
    trials = {number: int(each.tags["trial"]) for number, each in versions.items()}
    assert sorted(trials.values()) == sorted(networks)
    for number, each in versions.items():
        assert each.run_id == runs[trials[number]].info.run_id
    found = {
        alias: trials[version]
        for alias, version in client.get_registered_model(name).aliases.items()
    }
    assert found == aliases(content)
    sizes = {row["trial"]: row["parameters"] for row in content["front"]}
    assert found["ship"] == pick(content).row["trial"]
    assert found["smallest"] == min(sizes, key=lambda trial: sizes[trial])
    assert found["largest"] == max(sizes, key=lambda trial: sizes[trial])
    bounds = {"1k": 1_000, "10k": 10_000}
    for told, bound in bounds.items():
        if (alias := f"up-to-{told}") in found:
            assert sizes[found[alias]] <= bound
    assert any(alias.startswith("up-to-") for alias in found)


def test_a_registered_model_answers_as_the_network(
    study: Study, finished: Store, networks: dict[int, SampleNetwork], tmp_path: Path
) -> None:
    uri = f"models:/{study.spec.study.name}@ship"
    trial = pick(front_content(study)).row["trial"]
    samples = np.random.default_rng(0).integers(0, 256, (5, 1, 8, 8), dtype=np.uint8)
    with torch.no_grad():
        expected = networks[trial](torch.from_numpy(samples)).numpy()
    model = mlflow.onnx.load_model(uri)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    assert np.abs(session.run(None, {"image": samples})[0] - expected).max() < 1e-5
    served = mlflow.pyfunc.load_model(uri)
    assert np.abs(served.predict({"image": samples})["outputs"] - expected).max() < 1e-5
    told = served.metadata.signature
    assert [(each.name, each.type, each.shape) for each in told.inputs.inputs] == [
        ("image", np.dtype("uint8"), (-1, 1, 8, 8))
    ]
    assert [(each.name, each.shape) for each in told.outputs.inputs] == [("outputs", (-1, 10))]
    example = served.input_example["image"]
    assert (example.dtype, example.shape) == (np.dtype("uint8"), (2, 1, 8, 8))
    folder = Path(mlflow.artifacts.download_artifacts(uri, dst_path=str(tmp_path / "model")))
    names = {file.name for file in folder.rglob("*")}
    assert "model.onnx" in names
    assert not {name for name in names if name.endswith((".pkl", ".pickle", ".pt", ".pth"))}
    assert "pickle" not in (folder / "MLmodel").read_text()


def test_models_have_their_scores_and_runs_their_models_once(
    study: Study, finished: Store, networks: dict[int, SampleNetwork]
) -> None:
    again = Recorder(finished)
    again.study_started(study)
    finish(again, study)
    assert again.failure is None
    client = finished.client
    models = client.search_logged_models([finished.experiment_id])
    assert sorted(int(each.tags["trial"]) for each in models) == sorted(networks)
    name = study.spec.study.name
    assert len(client.search_model_versions(f"name = '{name}'")) == len(networks)
    runs, rows = nested(client, study), {row["trial"]: row for row in front_content(study)["front"]}
    for model in models:
        trial = int(model.tags["trial"])
        assert model.source_run_id == runs[trial].info.run_id
        (output,) = client.get_run(model.source_run_id).outputs.model_outputs
        assert output.model_id == model.model_id
        scores = {metric.key: metric.value for metric in model.metrics}
        expected = rows[trial]["test_accuracy"]
        assert scores["test/accuracy"] == pytest.approx(expected, abs=5e-5)
        assert scores["size/parameters"] == rows[trial]["parameters"]


def test_a_student_that_has_changed_is_a_new_version(
    study: Study, finished: Store, networks: dict[int, SampleNetwork]
) -> None:
    number = min(networks)
    module = networks[number]
    with torch.no_grad():
        next(module.network.parameters()).mul_(2)
    file = study.directory.student(number) / "student.onnx"
    file.write_bytes(to_onnx(module, metadata_of(module)))
    again = Recorder(finished)
    again.study_started(study)
    finish(again, study)
    assert again.failure is None
    client, name = finished.client, study.spec.study.name
    versions = client.search_model_versions(f"name = '{name}'")
    assert len(versions) == len(networks) + 1
    newest = max(versions, key=lambda each: int(each.version))
    assert newest.tags["trial"] == str(number)
    assert client.get_model_version_by_alias(name, "smallest").version == newest.version


def test_an_alias_whose_student_is_no_model_any_more_is_removed(
    study: Study, finished: Store, networks: dict[int, SampleNetwork]
) -> None:
    client, name = finished.client, study.spec.study.name
    content = front_content(study)
    shipped = pick(content).row["trial"]
    client.set_registered_model_alias(name, "mine", "1")
    (study.directory.student(shipped) / "student.onnx").unlink()
    again = Recorder(finished)
    again.study_started(study)
    finish(again, study)
    assert again.failure is None
    found = client.get_registered_model(name).aliases
    gone = {alias for alias, trial in aliases(content).items() if trial == shipped}
    assert "ship" in gone
    assert set(found) == {"mine", *aliases(content)} - gone
