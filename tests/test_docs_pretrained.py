"""The page on pretrained networks: its examples are sound, and the one without a download plans."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
import torchvision
from mlflow import MlflowClient

from kdsearch.results.study import Study
from kdsearch.space.checks import make_plan
from kdsearch.spec import parse_spec
from tests.command_line import CallCommand
from tests.docs_page import SHORTER, Page

PAGE = Page("pretrained.md", ("letters",))
FEW = (*SHORTER, "data.limit=300")


@pytest.mark.parametrize("name", PAGE.spaces())
def test_every_example_is_sound(name: str) -> None:
    assert parse_spec(PAGE.spaces()[name], list(SHORTER)).study.name == name


def test_the_example_of_a_file_plans_and_tells_of_its_head(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save(torchvision.models.resnet18().state_dict(), "resnet18.pth")
    plan = make_plan(parse_spec(PAGE.spaces()["own_normalisation"], list(SHORTER)))
    assert plan.warnings == [
        "the head of resnet18.pth has 1000 outputs (fc.bias), not 10: a fresh one is trained in "
        "its place"
    ]


@pytest.mark.slow
def test_the_example_of_a_file_runs(tmp_path: Path, call_command: CallCommand) -> None:
    torch.save(torchvision.models.resnet18().state_dict(), tmp_path / "resnet18.pth")
    printed = PAGE.run("own_normalisation", tmp_path, call_command, FEW)
    assert "a fresh one is trained in its place" in printed
    assert list((tmp_path / "studies" / "own_normalisation" / "students").iterdir())


@pytest.mark.slow
def test_a_general_teacher_teaches_without_being_scored(
    tmp_path: Path, call_command: CallCommand
) -> None:
    torch.manual_seed(0)
    torch.save(torchvision.models.resnet18().state_dict(), tmp_path / "resnet18.pth")
    printed = PAGE.run("general", tmp_path, call_command, FEW)
    assert "resnet18.pth, not trained again" in printed
    study = Study.open(tmp_path / "studies" / "general")
    assert study.state["compared"].keys() == {"keys"}
    assert study.teacher is not None
    assert study.teacher.test == {}
    assert study.front["retained"].isna().all()
    assert study.largest[0] > study.front["parameters"].max()
    assert set(study.trials["method"]) <= {"none", "rkd", "at", "fitnet"}
    assert (tmp_path / "studies" / "general" / "report.html").is_file()


@pytest.mark.slow
def test_students_begin_with_those_of_an_earlier_study_of_other_classes(
    tmp_path: Path, call_command: CallCommand
) -> None:
    small = [*SHORTER, "search.trials=2"]
    first = [*small, "data.limit=300", "students.0.width={choices: [0.3]}"]
    then = [*small, "students.0.init=pretrained"]
    with PAGE.place(tmp_path) as folder:
        PAGE.run_in_place(PAGE.spaces()["letters"], folder, call_command, first)
        printed = PAGE.run_in_place(PAGE.spaces()["numerals"], folder, call_command, then)
    assert "has 12 outputs (classifier.bias), not 10: a fresh one is trained in its" in printed
    (letters,) = (tmp_path / "studies" / "letters" / "students").iterdir()
    study = Study.open(tmp_path / "studies" / "numerals")
    told = f"letters trial {int(letters.name.removeprefix('trial-'))}"
    assert set(study.trials["began_with"]) == set(study.front["began_with"]) == {told}
    (student,) = (tmp_path / "studies" / "numerals" / "students").iterdir()
    facts = json.loads((student / "student.json").read_text())
    earlier = json.loads((letters / "student.json").read_text())
    assert facts["began_with"]["sha256"] == earlier["sha256"]
    assert facts["model"]["normalise"]["mean"] == earlier["inputs"][0]["mean"]
    client = MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    found = f"tags.study = '{study.directory.inputs().id}' and tags.phase = 'finalists'"
    (experiment,) = client.search_experiments(filter_string="name = 'kdsearch'")
    runs = client.search_runs([experiment.experiment_id], found)
    assert {run.data.params["began_with"] for run in runs} == {told}
