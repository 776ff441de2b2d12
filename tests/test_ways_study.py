"""A whole study of every way, with methods that adopt, copy and cut, and what is shipped of it."""

from __future__ import annotations

import json
from pathlib import Path

import onnxruntime
import pandas as pd
import pytest
import torch
from mlflow import MlflowClient
from safetensors.torch import load_file

import kdsearch
from tests.command_line import CallCommand
from tests.user_study import run_whole

pytestmark = pytest.mark.slow

SPEC = """
study: {name: small, seed: 5, directory: studies}
data: {source: digits, validation: 0.2, test: 0.25, limit: 500}
teacher:
  model: {family: mlp, width: 1, depth: 4}
  training: {epochs: 4}
teaching: {by: [teacher, born_again, mutual], generations: 1}
students:
  - {family: mlp, width: {low: 0.3, high: 1.0, log: true}, depth: 4,
     init: [random, cut_from_teacher]}
  - {family: convnet, width: {low: 0.3, high: 1.0, log: true}, depth: 2}
methods: [none, kd, simkd, weight_copy+kd, fitnet]
ways:
  none:
  low_rank:
  share:
  sparse:
  two_of_four:
  codebook: {entries: 4}
  quantize: {bits: {choices: [2, 4, 8]}}
  low_rank+quantize:
  "small_ways:Halved":
training: {epochs: 2, lr: {low: 0.02, high: 0.1, log: true}, clip_grad_norm: 5}
search: {trials: 60, sampler: random, size: bytes}
finalists: {seeds: 2, max: 3, latency: false}
"""

MINE = """
from kdsearch.ways import Way

class Halved(Way):
    name, about, paper, changes = "halved", "half of the first layer's weights", "own", "layers"
    hyperparameters = {}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ways")
    assert "ways of small by size" in run_whole(path, SPEC, "small_ways", MINE)
    return path


@pytest.fixture
def study(folder: Path, monkeypatch: pytest.MonkeyPatch) -> kdsearch.Study:
    monkeypatch.chdir(folder)
    return kdsearch.Study.open("studies/small")


def test_every_way_is_tried_and_no_trial_fails(study: kdsearch.Study) -> None:
    trials = study.trials
    assert trials["reason"].dropna().tolist() == []
    tried = set(trials["way"])
    assert tried == set(study.spec.ways)
    share = trials[trials["way"] == "share"]
    assert set(share["family"]) == {"mlp"}
    cut = trials[trials["init"] == "cut_from_teacher"]
    assert len(set(cut["way"]) - {"none"}) >= 3


def test_files_are_as_large_as_the_table_says_and_the_same_as_onnx(
    study: kdsearch.Study, folder: Path, call_command: CallCommand
) -> None:
    for _, row in study.front.iterrows():
        shipped = folder / "studies" / "small" / "students" / f"trial-{row['trial']:04d}"
        content = load_file(shipped / "student.safetensors").values()
        assert sum(each.numel() * each.element_size() for each in content) == row["bytes"]
        student = kdsearch.load_student(shipped)
        assert [each["name"] for each in student.facts["model"].get("ways", ())] == (
            [] if row["way"] == "none" else row["way"].split("+")
        )
        code, _, _ = call_command("export", "studies/small", "--trial", str(row["trial"]))
        assert code == 0
        file = folder / "studies" / "small" / "exported" / shipped.name / "student.onnx"
        session = onnxruntime.InferenceSession(file.read_bytes())
        images = torch.randint(0, 256, (5, 1, 8, 8), dtype=torch.uint8)
        (found,) = session.run(None, {session.get_inputs()[0].name: images.numpy()})
        with torch.no_grad():
            assert torch.allclose(torch.from_numpy(found), student(images), atol=1e-4)


def test_a_baseline_is_the_same_student_with_the_same_way(study: kdsearch.Study) -> None:
    for finalist in study.finalists():
        for run in finalist.baseline:
            assert run.task.model.ways == finalist.trial.task.model.ways
            assert run.task.method.label == "none"


def test_ways_are_told_by_the_files_for_programs_and_by_mlflow(
    study: kdsearch.Study, folder: Path
) -> None:
    ranking = json.loads((folder / "studies" / "small" / "ranking.json").read_text())
    assert {row["way"] for row in ranking["ways"]} <= set(study.spec.ways)
    assert pd.DataFrame(ranking["ways"]).groupby("at_most")["first"].sum().eq(1).all()
    client = MlflowClient(f"sqlite:///{folder / 'mlflow.db'}")
    (experiment,) = (each for each in client.search_experiments() if each.name == "kdsearch")
    runs = client.search_runs([experiment.experiment_id], "tags.way = 'low_rank+quantize'")
    assert runs
    for run in runs:
        assert run.data.params["way"] == "low_rank+quantize"
        assert {"low_rank.rank", "quantize.bits"} <= run.data.params.keys()
