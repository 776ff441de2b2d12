"""The page on few labels: its example is sound as it stands, and says what the page says."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from kdsearch.data import load_dataset
from kdsearch.space.checks import make_plan
from kdsearch.spec import parse_spec
from tests.command_line import CallCommand
from tests.docs_page import Page

PAGE = Page("few-labels.md", ())


def test_the_example_is_sound() -> None:
    plan = make_plan(parse_spec(PAGE.spaces()["few"]))
    known = plan.data.problem.known(plan.data.train.targets)
    assert int(known.sum()) == 100
    assert set(plan.space.methods) == {"none", "pseudo_label", "kd"}


def test_the_example_of_strong_augmentation_is_sound() -> None:
    plan = make_plan(parse_spec(PAGE.spaces()["strong"]))
    assert set(plan.space.methods) == {"none", "fixmatch", "noisy_student"}
    again = parse_spec(PAGE.spaces()["strong"], ["teaching={by: [born_again], generations: 2}"])
    assert "noisy_student" in make_plan(again).space.methods


def test_the_page_tells_how_many_have_labels() -> None:
    spec = parse_spec(PAGE.spaces()["few"], ["data.validation=0.25"])
    data = load_dataset(spec.data)
    assert f"100 of {len(data.train):,} training samples have labels" in PAGE.text


@pytest.mark.slow
def test_a_study_of_few_labels_names_its_baselines(
    tmp_path: Path, call_command: CallCommand
) -> None:
    PAGE.run("few", tmp_path, call_command)
    front = pd.read_csv(tmp_path / "studies" / "few" / "front.csv")
    assert set(front["baseline_method"]) <= {"none", "pseudo_label"}
    assert (front["undistilled"] == front["method"].isin(["none", "pseudo_label"])).all()
