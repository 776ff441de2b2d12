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
    "190 of 1,690 training samples have labels: what is distilled learns from the others too, the "
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
    assert (code, "training samples have" in out) == (0, False)


def test_a_dry_run_tells_it_too(own: str, call_command: CallCommand) -> None:
    code, out, _ = call_command("run", "spec.yaml", "--dry-run")
    assert code == 0
    assert TOLD in " ".join(out.split())


def test_few_labels_are_told_and_too_few_refused_at_their_place(
    folder: Path, call_command: CallCommand
) -> None:
    data = "source: digits\n  test: 0.2\n  validation: 0.25\n  labels: 100"
    (folder / "spec.yaml").write_text(SPEC.replace("source: digits\n  limit: 200", data))
    code, out, _ = call_command("validate", "spec.yaml")
    assert code == 0
    assert "100 of 1,078 training samples have labels" in " ".join(out.split())
    code, _, err = call_command("validate", "spec.yaml", "--set", "data.labels=9")
    assert code == 2
    assert err == (
        "kdsearch: --set data.labels=9: data.labels keeps 9 of 1,078 targets; with 10 classes it "
        "must keep at least 10, one a class\n"
    )


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (
            (),
            "all training samples have a target; remove it, or set data.labels or data.unlabelled",
        ),
        (
            ("data.labels=50", "data.augment={mixup: 0.2}"),
            "data.augment.mixup blends in images of all training samples, so that a batch would "
            "not hold the ratio; remove one of them",
        ),
    ],
)
def test_a_ratio_that_cannot_be_held_is_refused(
    folder: Path, call_command: CallCommand, settings: tuple[str, ...], told: str
) -> None:
    sets = [option for each in settings for option in ("--set", each)]
    ratio = "training.unlabelled_ratio=3"
    code, _, err = call_command("validate", "spec.yaml", *sets, "--set", ratio)
    assert (code, err) == (2, f"kdsearch: --set {ratio}: {told}\n")
    if settings:
        code, out, _ = call_command("validate", "spec.yaml", *sets[:2], "--set", ratio)
        assert code == 0
        assert "50 of" in out


def test_a_teacher_takes_no_ratio(folder: Path, call_command: CallCommand) -> None:
    ratio = "teacher.training={unlabelled_ratio: 3}"
    code, _, err = call_command("validate", "spec.yaml", "--set", ratio)
    assert code == 2
    assert "a teacher is trained on labelled samples alone; remove it" in err


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
