"""The page on tasks: each of its examples runs as it stands, but for its length."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from mlflow import MlflowClient
from PIL import Image
from sklearn.datasets import load_digits

from kdsearch import load_student
from kdsearch.export.student import Student
from kdsearch.spec import parse_spec
from tests.command_line import CallCommand
from tests.docs_page import MEASURED, SHORTER
from tests.docs_page import TASKS as PAGE


def write_birds(folder: Path) -> None:
    """A table as the page describes it, of some digits; some cells are empty."""
    folder.mkdir()
    scans = load_digits()
    rows = []
    for number, (image, digit) in enumerate(zip(scans.images, scans.target, strict=True)):
        if number >= 240:
            break
        Image.fromarray((image * 15.9375).astype(np.uint8)).save(folder / f"{number}.png")
        tags = [name for name, has in (("odd", digit % 2), ("small", digit < 5)) if has]
        age = "" if number % 7 == 3 else f"{image.mean():.3f}"
        species = "" if number % 11 == 5 else ("wren", "owl", "crow")[digit % 3]
        rows.append([f"{number}.png", species, "; ".join(tags), age])
    with (folder / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["image", "species", "tags", "age"], *rows])


@pytest.mark.parametrize("name", ["tags", "ink", "birds", "scarce", "specialists"])
def test_the_examples_are_sound(name: str) -> None:
    assert parse_spec(PAGE.spaces()[name], list(SHORTER)).study.name == name


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with PAGE.place(tmp_path_factory.mktemp("tasks")) as folder:
        write_birds(folder / "birds")
        yield folder


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "objective", "unit"),
    [
        ("tags", "mean_average_precision", "points of mAP"),
        ("ink", "mae", "gain in MAE over"),
        ("birds", "species/accuracy", "points of species accuracy"),
        ("scarce", "accuracy", "points of accuracy"),
    ],
)
def test_an_example_runs_to_its_front(
    folder: Path, call_command: CallCommand, name: str, objective: str, unit: str
) -> None:
    changes = [*SHORTER, *(MEASURED if name == "birds" else ())]
    assert unit in PAGE.run_in_place(PAGE.spaces()[name], folder, call_command, changes)
    study = folder / "studies" / name
    front = pd.read_csv(study / "front.csv")
    assert len(front)
    assert set(front["objective"]) == {objective}
    sign = 1 if objective != "mae" else -1
    gaps = sign * (front[f"test_{objective}"] - front[f"baseline_{objective}"])
    distilled = front["method"] != "none"
    np.testing.assert_allclose(front["gain"][distilled], gaps[distilled], atol=1e-9)
    client = MlflowClient(f"sqlite:///{folder / 'mlflow.db'}")
    (experiment,) = client.search_experiments(filter_string="name = 'kdsearch'")
    runs = client.search_runs([experiment.experiment_id])
    with_scores = [run for run in runs if f"search/{objective}" in run.data.metrics]
    assert len(with_scores) >= 5
    for student in (study / "students").iterdir():
        _check_answers(load_student(student), name)


def _check_answers(student: Student, name: str) -> None:
    images = np.zeros((2, *student.inputs["image"].shape), np.uint8)
    found = student.predict(torch.from_numpy(images))
    if name == "birds":
        assert set(found) == {"species", "tags", "age"}
        assert set(found["species"]) <= {"wren", "owl", "crow"}
        found = found["tags"]
    if name == "scarce":
        assert set(found) <= set("0123456789")
    elif name == "ink":
        assert all(isinstance(each, float) for each in found)
    else:
        assert all(isinstance(each, tuple) for each in found)
