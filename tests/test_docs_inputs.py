"""The page on inputs: each of its examples runs as it stands, but for its length."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.datasets import load_breast_cancer, load_digits

from kdsearch import load_student
from kdsearch.spec import parse_spec
from tests.command_line import CallCommand
from tests.docs_page import MEASURED, SHORTER, Page

PAGE = Page("inputs.md", ("my_halves",))
COLUMNS = {
    "radius": "mean radius",
    "texture": "mean texture",
    "smoothness": "mean smoothness",
    "concavity": "mean concavity",
}


def write_cells(folder: Path) -> np.ndarray:
    """A table as the page describes it; its numbers."""
    data = load_breast_cancer()
    names = list(data.feature_names)
    numbers = data.data[:, [names.index(name) for name in COLUMNS.values()]]
    with (folder / "cells.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*COLUMNS, "diagnosis"])
        for row, target in zip(numbers, data.target, strict=True):
            writer.writerow([*row, data.target_names[target]])
    return numbers


@pytest.mark.parametrize("name", ["cells", "halves"])
def test_the_examples_are_sound(name: str) -> None:
    assert parse_spec(PAGE.spaces()[name], list(SHORTER)).study.name == name


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with PAGE.place(tmp_path_factory.mktemp("inputs")) as folder:
        yield folder


@pytest.mark.slow
@pytest.mark.parametrize("name", ["cells", "halves"])
def test_an_example_runs_to_its_front(place: Path, call_command: CallCommand, name: str) -> None:
    numbers = write_cells(place)
    changes = [*SHORTER, *(MEASURED if name == "cells" else ())]
    printed = PAGE.run_in_place(PAGE.spaces()[name], place, call_command, changes)
    assert "points of accuracy" in printed
    front = pd.read_csv(place / "studies" / name / "front.csv")
    assert len(front)
    assert ("inputs" in front) == (name == "halves")
    assert set(front.get("inputs", [])) == ({"image"} if name == "halves" else set())
    halves = torch.from_numpy((load_digits().images[:, :5] * 15.9375).astype(np.uint8))[:, None]
    samples = halves if name == "halves" else torch.from_numpy(numbers)
    for folder in (place / "studies" / name / "students").iterdir():
        student = load_student(folder)
        answers = student.predict(samples[:200])
        assert set(answers) <= set(student.classes)
        assert len(set(answers)) > 1
        facts = json.loads((folder / "student.json").read_text())
        told = {each["name"]: each for each in facts["inputs"]}
        assert list(student.inputs) == (["image"] if name == "halves" else ["numbers"])
        if name == "cells":  # of the training rows, which are most of all rows
            np.testing.assert_allclose(told["numbers"]["mean"], numbers.mean(axis=0), rtol=0.05)
            np.testing.assert_allclose(told["numbers"]["std"], numbers.std(axis=0), rtol=0.15)
