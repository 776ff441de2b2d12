"""The page on pretrained networks: its examples are sound, and the one without a download plans."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torchvision

from kdsearch.results.study import Study
from kdsearch.space.checks import make_plan
from kdsearch.spec import parse_spec
from tests.docs_page import SHORTER, Page

PAGE = Page("pretrained.md", ())


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
def test_the_example_of_a_file_runs(tmp_path: Path) -> None:
    torch.save(torchvision.models.resnet18().state_dict(), tmp_path / "resnet18.pth")
    printed = PAGE.run("own_normalisation", tmp_path)
    assert "a fresh one is trained in its place" in printed
    assert list((tmp_path / "studies" / "own_normalisation" / "students").iterdir())


@pytest.mark.slow
def test_a_general_teacher_teaches_without_being_scored(tmp_path: Path) -> None:
    torch.manual_seed(0)
    torch.save(torchvision.models.resnet18().state_dict(), tmp_path / "resnet18.pth")
    printed = PAGE.run("general", tmp_path)
    assert "resnet18.pth, not trained again" in printed
    study = Study.open(tmp_path / "studies" / "general")
    assert study.state["compared"].keys() == {"keys"}
    assert study.teacher is not None
    assert study.teacher.test == {}
    assert study.front["retained"].isna().all()
    assert study.largest[0] > study.front["parameters"].max()
    assert set(study.trials["method"]) <= {"none", "rkd", "at", "fitnet"}
    assert (tmp_path / "studies" / "general" / "report.html").is_file()
