"""The page on another domain: its example runs, and both domains are judged as an ONNX file is."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import onnxruntime
import pandas as pd
import pytest
from mlflow import MlflowClient

from kdsearch.data import Split, load_study_data
from kdsearch.results.study import Study
from kdsearch.space.checks import make_plan
from kdsearch.spec import parse_spec
from tests.command_line import CallCommand
from tests.docs_page import MEASURED, SHORTER, Page

PAGE = Page("domains.md", ("scans",))


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.text, re.DOTALL)
    (tmp_path / "scans.py").write_text(code)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def test_the_example_is_sound(modules: Path) -> None:
    plan = make_plan(parse_spec(PAGE.spaces()["worn"]))
    domain = plan.data.train.domain
    assert domain is not None
    assert not bool(plan.data.problem.known(plan.data.train.targets)[domain].any())
    assert set(plan.space.methods) == {"none", "kd", "coral", "adabn", "kd+coral"}


def accuracy(file: Path, split: Split) -> float:
    """Of an ONNX file on a split, by onnxruntime alone."""
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {session.get_inputs()[0].name: np.asarray(split.images)})
    return float((found.argmax(axis=1) == np.asarray(split.labels)).mean())


@pytest.mark.slow
def test_a_study_tells_source_and_target_side_by_side(
    modules: Path, call_command: CallCommand
) -> None:
    told = PAGE.run("worn", modules, call_command, (*SHORTER, *MEASURED))
    assert "on target" in told
    assert "on source" in told
    assert "distill" not in told.replace("--", "")
    study = Study.open(modules / "studies" / "worn")
    data = load_study_data(study.spec)
    assert data.source_test is not None
    front = pd.read_csv(study.directory.path / "front.csv")
    for finalist, row in zip(study.finalists(), front.to_dict("records"), strict=True):
        folder = study.directory.student(finalist.trial.number)
        scores = json.loads((folder / "student.json").read_text())["test_scores"]
        splits = {"accuracy": data.test, "source_accuracy": data.source_test}
        for name, split in splits.items():
            found = accuracy(folder / "student.onnx", split)
            assert scores[name] == pytest.approx(found, abs=1.01 / len(split))
            seeds = [run.test[name] for run in finalist.runs if run.test]
            assert row[f"test_{name}"] == pytest.approx(np.mean(seeds))
    content = json.loads((study.directory.path / "front.json").read_text())
    assert content["domains"] == {"source": "scans:load", "target": "scans:load"}
    teacher = study.teacher
    assert teacher is not None
    assert 0 < teacher.test["source_accuracy"] <= 1
    page = (study.directory.path / "report.html").read_text()
    assert '"source_accuracy"' in page
    client = MlflowClient(f"sqlite:///{modules}/mlflow.db")
    runs = client.search_runs([each.experiment_id for each in client.search_experiments()])
    marked = [run.data.metrics for run in runs if run.data.tags.get("front") == "true"]
    assert [metrics["test/source_accuracy"] for metrics in marked] == pytest.approx(
        front.loc[front["member"], "test_source_accuracy"].tolist(), abs=1e-4
    )
    notes = [run.data.tags.get("mlflow.note.content", "") for run in runs]
    note = next(text for text in notes if "Ship" in text)
    assert "on source" in note
    assert "adaptation is worth" in note
    assert "istillation" not in note
