"""What ``validate`` and a dry run print of training samples without a target."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from tests.command_line import CallCommand

from .command import SPEC

CODE = """
import numpy as np
from sklearn.datasets import load_digits
from kdsearch.data import RawData

def load(gone=1500):
    scans = load_digits()
    labels = np.where(np.arange(1797) < 1797 - gone, scans.target, -1)
    return RawData((scans.images * 15.9375).astype(np.uint8), labels)
"""
TOLD = (
    "1,500 of 1,690 training samples have no target: what is distilled learns from them, the "
    "undistilled baseline and the teacher's training leave them out"
)


@pytest.fixture
def own(folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module of its own for each test, which Python has not seen."""
    name = f"scans_{os.getpid()}_{time.monotonic_ns()}"
    (folder / f"{name}.py").write_text(CODE)
    monkeypatch.syspath_prepend(str(folder))
    data = f'source: "{name}:load"\n  validation: 0.2'
    (folder / "spec.yaml").write_text(SPEC.replace("source: digits\n  limit: 200", data))
    return name


def test_validate_tells_how_many(own: str, call_command: CallCommand) -> None:
    code, out, err = call_command("validate", "spec.yaml")
    assert (code, err) == (0, "")
    assert TOLD in " ".join(out.split())
    code, out, _ = call_command("validate", "spec.yaml", "--set", "data.options={gone: 0}")
    assert (code, "no target" in out) == (0, False)


def test_a_dry_run_tells_it_too(own: str, call_command: CallCommand) -> None:
    code, out, _ = call_command("run", "spec.yaml", "--dry-run")
    assert code == 0
    assert TOLD in " ".join(out.split())


def test_the_place_of_the_setting_is_told_for_a_table(
    folder: Path, call_command: CallCommand
) -> None:
    (folder / "t.csv").write_text("image,label\nt.csv,\n")
    data = "source: table\n  table: {file: t.csv}\n  image_size: 8"
    (folder / "spec.yaml").write_text(SPEC.replace("source: digits\n  limit: 200", data))
    code, _, err = call_command("validate", "spec.yaml")
    assert code == 2
    assert err.startswith("kdsearch: spec.yaml:5:")
    assert err.endswith(
        "t.csv, line 2: 'label' is empty; fill the cell or remove the row, or set "
        "data.table.unlabelled to true to distil the sample without a target\n"
    )
