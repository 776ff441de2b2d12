from __future__ import annotations

from pathlib import Path

import pytest

from kdsearch.cluster.lasting import check_lasting, check_store
from kdsearch.errors import SpecError
from kdsearch.spec.load import load_spec


def test_a_spec_with_absolute_paths_is_let_through(spec_file: Path) -> None:
    spec = load_spec(
        spec_file,
        [
            "data.root=/shared/data",
            "teacher.checkpoint=/shared/teacher.safetensors",
            "resources.storage=s3://bucket/studies",
        ],
    )
    assert check_lasting(spec) is None


@pytest.mark.parametrize(
    ("override", "name"),
    [
        ("study.directory=studies", "study.directory"),
        ("data.root=data/cifar", "data.root"),
        ("data.table={file: birds.csv}", "data.table.file"),
        ("teacher.checkpoint=./teacher.safetensors", "teacher.checkpoint"),
        ("cache.folder=cache", "cache.folder"),
        ("search.warm_start=[/shared/a, b]", r"search\.warm_start\.1"),
        ("resources.storage=checkpoints", "resources.storage"),
    ],
)
def test_a_relative_path_is_refused_by_name(spec_file: Path, override: str, name: str) -> None:
    with pytest.raises(SpecError, match=f"{name} is relative .* absolute path") as caught:
        check_lasting(load_spec(spec_file, [override]))
    assert str(caught.value).startswith(f"--set {override}: ")


def test_a_relative_default_directory_is_refused_at_the_study(tmp_path: Path) -> None:
    file = tmp_path / "x.yaml"
    file.write_text(
        "data: {source: digits}\nstudy: {name: x}\nteacher: {model: {family: convnet}}\n"
        "students: [{family: mlp}]\nmethods: [kd]\n"
    )
    with pytest.raises(SpecError, match=r"study\.directory is relative \(studies\)") as caught:
        check_lasting(load_spec(file))
    assert caught.value.line == 2


@pytest.mark.parametrize(
    "uri",
    [
        "http://mlflow:5000",
        "https://mlflow.example",
        "databricks",
        "databricks://profile",
        "sqlite:////shared/mlflow.db",
        "sqlite+pysqlite:////shared/mlflow.db?timeout=20",
    ],
)
def test_a_store_that_lasts_is_let_through(spec_file: Path, uri: str) -> None:
    named = load_spec(spec_file, [f"tracking.uri={uri}"])
    assert check_store(named, None) == {}
    unnamed = load_spec(spec_file, ["tracking.uri=null"])
    assert check_store(unnamed, uri) == {"MLFLOW_TRACKING_URI": uri}


@pytest.mark.parametrize(
    "uri",
    [
        "sqlite:///mlflow.db",
        "sqlite:///runs/mlflow.db",
        "sqlite://",
        "mlruns",
        "./mlruns",
        "file:///shared/mlruns",
        "postgresql://user:secret@db/mlflow",
    ],
)
def test_a_store_that_would_vanish_is_refused(spec_file: Path, uri: str) -> None:
    named = load_spec(spec_file, [f"tracking.uri={uri}"])
    with pytest.raises(SpecError, match=r"tracking\.uri \(.* vanish"):
        check_store(named, "http://mlflow:5000")
    unnamed = load_spec(spec_file, ["tracking.uri=null"])
    with pytest.raises(SpecError, match=r"MLFLOW_TRACKING_URI \(.* vanish") as caught:
        check_store(unnamed, uri)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("inherited", [None, ""])
def test_no_store_at_all_is_refused(spec_file: Path, inherited: str | None) -> None:
    spec = load_spec(spec_file, ["tracking.uri=null"])
    with pytest.raises(SpecError, match="no MLflow store is named"):
        check_store(spec, inherited)
