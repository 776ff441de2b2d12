"""The page on metrics says what the code has, and its example is one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
import yaml

from kdsearch.problems import Predictions, Problem, find_metric
from kdsearch.problems.catalogue import METRICS, USUAL
from kdsearch.spec import parse_spec

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "metrics.md").read_text()
ROOMS = ("search", "execution", "results", "teacher_cache", "tracking", "export", "display")


def rows() -> dict[str, list[str]]:
    """The tables' rows by the metric's name."""
    lines = re.findall(r"^\| `(\w+)` \| (.*) \|$", PAGE, flags=re.MULTILINE)
    return {name: rest.split(" | ") for name, rest in lines}


def block(language: str) -> str:
    (found,) = re.findall(rf"```{language}\n(.*?)```", PAGE, flags=re.DOTALL)
    return str(found)


def test_the_tables_have_every_metric_with_its_direction_and_unit() -> None:
    told = {name: (row[1], row[2].strip()) for name, row in rows().items()}
    assert told == {metric.name: (metric.better, metric.unit) for metric in METRICS.values()}
    for kind, usual in USUAL.items():
        known = [name for name in told if METRICS[name].kind == kind]
        assert known[: len(usual)] == sorted(usual, key=known.index)


def test_the_example_judges_as_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spec_text: str
) -> None:
    (tmp_path / "my_metrics.py").write_text(block("python"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    given = yaml.safe_load(block("yaml"))
    changes = [
        f"{section}.{key}={value}".replace("'", "")
        for section, values in given.items()
        for key, value in values.items()
    ]
    problem = Problem.of(parse_spec(spec_text, changes))
    labels = torch.tensor([3, 7, 0])
    outputs = torch.nn.functional.one_hot(torch.tensor([3, 5, 4]), 10).float()
    scores = problem.scores({"label": Predictions(outputs, labels)})
    assert scores["my_metrics:far_off"] == 2.0  # 0, 2 and 4 digits
    assert {"macro_f1", "worst_class_recall", "top5_accuracy"} <= scores.keys()
    assert find_metric("my_metrics:far_off").told(2.0) == "2.000 digits"


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_beyond_the_problem_names_no_metric(room: str) -> None:
    """So a new metric touches one file."""
    place = ROOT / "kdsearch" / room
    files = [place] if place.is_file() else sorted(place.rglob("*.py"))
    assert files
    words = "|".join({"accurac", *METRICS} - {"agreement", "kl"})
    for file in files:
        found = re.findall(rf"[^\n]*\b(?:{words})[^\n]*", file.read_text())
        assert not found, f"{file}: {found}"
