"""The scripts of docs/shipping.md run without torch and kdsearch, and score as the study did."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from kdsearch.data import load_dataset
from kdsearch.graphs.metadata import metadata_of
from kdsearch.graphs.onnx_file import to_onnx
from kdsearch.results.study import Study
from tests.graphs.networks import NUMBERS, PRICE, sample_network, samples
from tests.user_study import command

PAGE = (Path(__file__).parents[1] / "docs" / "shipping.md").read_text()

ALONE = (
    "import runpy, sys; sys.modules['torch'] = sys.modules['kdsearch'] = None; "
    "sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0])"
)
"""Runs a script to which torch and kdsearch are not installed."""


def script(name: str) -> str:
    """A script of the page by the name in its first line."""
    return next(
        code for code in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL) if f"# {name} " in code
    )


def run_alone(folder: Path, name: str, *words: str) -> list[str]:
    """The lines that a script of the page prints."""
    (folder / name).write_text(script(name))
    done = subprocess.run(
        [sys.executable, "-c", ALONE, name, *words], cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_the_script_for_images_is_short() -> None:
    assert len(script("classify.py").splitlines()) <= 15


def test_values_of_numbers(tmp_path: Path) -> None:
    module = sample_network("mlp", NUMBERS, (PRICE,))
    (tmp_path / "student.onnx").write_bytes(to_onnx(module, metadata_of(module)))
    rows = samples(NUMBERS, 5)["numbers"]
    np.savetxt(tmp_path / "table.csv", rows, delimiter=",", header="a,b,c,d", comments="")
    found = run_alone(tmp_path, "predict.py", "student.onnx", "table.csv")
    import torch

    with torch.no_grad():
        expected = module(torch.from_numpy(rows))[:, 0]
    np.testing.assert_allclose([float(line) for line in found], expected, rtol=1e-5)


def check_export(user_folder: Path, tmp_path: Path) -> None:
    """An exported student of the user's study scores on the test as the front says."""
    study = Study.open(user_folder / "studies" / "tiny")
    done = subprocess.run(
        command("export", "studies/tiny", "--output", str(tmp_path), "--int8"),
        cwd=user_folder,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    trial = int(re.search(r"trial (\d+):", done.stdout)[1])  # type: ignore[index]
    facts = json.loads((study.directory.student(trial) / "student.json").read_text())
    test = load_dataset(study.spec.data).test
    files = []
    for number, pixels in enumerate(test.images.numpy()):
        files.append(f"{number}.png")
        Image.fromarray(pixels[0]).save(tmp_path / files[-1])
    named = [line.split() for line in run_alone(tmp_path, "classify.py", "student.onnx", *files)]
    assert [file for file, _ in named] == files
    right = np.mean(
        [int(name) == label for (_, name), label in zip(named, test.labels, strict=True)]
    )
    assert right == pytest.approx(facts["test_scores"]["accuracy"])
    front = pd.read_csv(study.directory.path / "front.csv").set_index("trial")
    assert right == pytest.approx(front.loc[trial, "shipped_test_accuracy"])
    assert len(run_alone(tmp_path, "classify.py", "student-int8.onnx", files[0])) == 1
