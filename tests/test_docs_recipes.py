"""The page on recipes: its example runs as it stands, but for its length."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.nn import Conv2d

from kdsearch import load_student
from kdsearch.models import build_network, of_images
from kdsearch.spec import ModelConfig, parse_spec
from tests.command_line import CallCommand
from tests.docs_page import SHORTER, Page

PAGE = Page("recipes.md", ())


def test_the_example_is_sound() -> None:
    assert parse_spec(PAGE.spaces()["further"], list(SHORTER)).study.name == "further"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with PAGE.place(tmp_path_factory.mktemp("recipes")) as folder:
        yield folder


@pytest.mark.slow
def test_a_study_weighs_what_only_trained_students_tell(
    place: Path, call_command: CallCommand
) -> None:
    """By bytes as an archive has them: the front, the teacher's line and the files agree."""
    text = PAGE.spaces()["further"].replace(", weights: mine.safetensors", "")
    text = text.replace("size: bytes", "size: compressed_bytes")
    PAGE.run_in_place(text, place, call_command, [*SHORTER, "study.name=compressed"])
    study = place / "studies" / "compressed"
    trials = pd.read_csv(study / "trials.csv")
    assert (trials["compressed_bytes"] < trials["bytes"] + 2000).all()
    sizes = json.loads((study / "study.json").read_text())["teachers"]["teacher"]["size"]
    assert 0 < sizes["compressed_bytes"] < 1.1 * sizes["bytes"]
    for folder in (study / "students").iterdir():
        facts = json.loads((folder / "student.json").read_text())
        content = (folder / "student.safetensors").read_bytes()
        assert facts["compressed_bytes"] == len(zlib.compress(content, 6))
    front = pd.read_csv(study / "front.csv")
    assert front["compressed_bytes"].is_monotonic_increasing


@pytest.mark.slow
def test_the_example_runs_to_its_front(place: Path, call_command: CallCommand) -> None:
    torch.manual_seed(3)
    model = ModelConfig(family="convnet", width=0.5, depth=2)
    network = build_network(model, of_images((1, 8, 8)), 10)
    save_file(network.state_dict(), place / "mine.safetensors")
    printed = PAGE.run_in_place(PAGE.spaces()["further"], place, call_command)
    assert "points of accuracy" in printed
    study = place / "studies" / "further"
    trials = pd.read_csv(study / "trials.csv")
    assert set(trials["stored"]) == {"float32", "float16"}
    fixed = trials[trials["width"] == 0.5]
    sizes = fixed.groupby("stored")["bytes"].unique()
    counters = 2 * 8  # batch normalisation's, which are whole numbers
    assert [len(each) for each in sizes] == [1, 1]
    assert sizes["float32"][0] - counters == 2 * (sizes["float16"][0] - counters)
    for folder in (study / "students").iterdir():
        facts = json.loads((folder / "student.json").read_text())
        weights = load_file(folder / "student.safetensors")
        stored = {str(each.dtype) for each in weights.values() if each.is_floating_point()}
        assert stored == {f"torch.{facts['stored']}"}
        assert sum(each.nbytes for each in weights.values()) == facts["bytes"]
        assert len(load_student(folder).predict(torch.zeros(2, 1, 8, 8, dtype=torch.uint8))) == 2


@pytest.mark.slow
def test_students_cut_from_their_teacher_are_shipped_as_any_other(
    place: Path, call_command: CallCommand
) -> None:
    printed = PAGE.run_in_place(PAGE.spaces()["cut"], place, call_command)
    assert "points of accuracy" in printed
    study = place / "studies" / "cut"
    trials = pd.read_csv(study / "trials.csv")
    assert set(trials["init"]) == {"random", "cut_from_teacher"}
    for folder in (study / "students").iterdir():
        student = load_student(folder)
        channels = [len(layer.weight) for layer in student.modules() if isinstance(layer, Conv2d)]
        assert not [count for count in channels if count % 4]
