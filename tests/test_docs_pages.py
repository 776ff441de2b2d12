"""The guides' promises: their commands exist, their sections load, their examples run."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from kdsearch.cli import app
from kdsearch.methods import METHODS
from kdsearch.space.checks import make_plan
from kdsearch.spec import parse_spec
from kdsearch.spec.augmentation import Augmentation

ROOT = Path(__file__).parents[1]


def text(page: str) -> str:
    return (ROOT / "docs" / page).read_text()


def block(page: str, language: str, holds: str = "") -> str:
    """The first example of a page in a language that holds a text."""
    found = re.findall(rf"```{language}\n(.*?)```", text(page), re.DOTALL)
    return str(next(example for example in found if holds in example))


def space() -> dict[str, Any]:
    """The search space of the tour."""
    return dict(yaml.safe_load(block("tour.md", "yaml", "study: {name: digits")))


def test_the_commands_are_those_of_the_command_line() -> None:
    listed = set(re.findall(r"^kdsearch (\w+)", text("commands.md"), re.MULTILINE))
    known = {
        command.name or getattr(command.callback, "__name__", "")
        for command in app.registered_commands
    }
    assert listed == known


def test_the_search_space_of_the_tour_is_the_shipped_one() -> None:
    shipped = (ROOT / "search_spaces" / "digits.yaml").read_text()
    assert space() == yaml.safe_load(shipped)


def test_the_values_that_the_tour_gives_a_method_load() -> None:
    (example,) = re.findall(r"`(kd: \{.*?\})`", text("tour.md"))
    (method,) = parse_spec(yaml.safe_dump(space() | {"methods": yaml.safe_load(example)})).methods
    assert method == "kd"


def test_the_section_on_the_search_is_sound() -> None:
    section = yaml.safe_load(block("search.md", "yaml", "warm_start"))
    del section["search"]["warm_start"]  # a study that is not here
    plan = make_plan(parse_spec(yaml.safe_dump(space() | section)))
    assert plan.spec.search.size == ("parameters", "latency")
    assert plan.spec.search.max_epochs == 1000


def test_the_sections_for_tables_and_uneven_classes_are_sound() -> None:
    sections = yaml.safe_load(block("your-data.md", "yaml", "source: table"))
    sections |= yaml.safe_load(block("your-data.md", "yaml", "class_weights"))
    spec = parse_spec(yaml.safe_dump(space() | sections))
    assert spec.data.table is not None
    assert spec.data.table.target == ("species",)
    assert spec.training.class_weights == "balanced"


def test_the_ten_lines_for_your_own_images_load() -> None:
    example = block("your-data.md", "yaml", "name: flowers")
    assert len(example.splitlines()) <= 10
    assert parse_spec(example).teacher.model.family == "torchvision/resnet50"


def test_the_settings_of_augmentation_load() -> None:
    page = text("your-data.md")
    rows = re.search(r"\| setting \| what it does \|\n\|---\|---\|\n(.*?)\n\n", page, re.DOTALL)
    assert rows
    settings = re.findall(r"`(\w+: [^`]+)`", rows[1])
    assert {setting.split(":")[0] for setting in settings} == set(Augmentation.model_fields)
    for setting in settings:
        augment = yaml.safe_load(f"{{{setting}}}")
        data = {"data": {"source": "digits", "augment": augment}}
        spec = parse_spec(yaml.safe_dump(space() | data))
        (name,) = augment
        assert getattr(spec.data.augment, name) is not None


def test_every_method_is_in_the_table_of_methods() -> None:
    table = re.search(r"\| kind \| methods \|.*?\n\n", text("methods.md"), re.DOTALL)
    assert table
    assert set(re.findall(r"`(\w+)`", table[0])) == set(METHODS)


def test_the_methods_to_begin_with_are_known() -> None:
    methods = yaml.safe_load(block("methods.md", "yaml", "methods:"))
    assert set(parse_spec(yaml.safe_dump(space() | methods)).methods) == set(methods["methods"])


def test_the_section_on_teachers_is_sound() -> None:
    teachers = yaml.safe_load(block("methods.md", "yaml", "teachers:"))
    plan = make_plan(parse_spec(yaml.safe_dump(space() | teachers)))
    assert plan.spec.taught_by == tuple(teachers["teaching"]["by"])


@pytest.mark.parametrize(
    ("name", "suite", "lines"),
    [("class Cosine", "MethodConformance", 20), ("class Signs", "WayConformance", 35)],
)
def test_a_class_of_ones_own_passes_its_suite_in_few_lines(
    tmp_path: Path, name: str, suite: str, lines: int
) -> None:
    example = block("plugins.md", "python", name)
    assert len(example.strip().splitlines()) <= lines
    (tmp_path / "mine.py").write_text(example)
    (tmp_path / "test_mine.py").write_text(block("plugins.md", "python", suite))
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_mine.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout
    assert re.search(r"\d\d passed", done.stdout)


FEWER = (
    "finalists.seeds=2",
    "finalists.max=1",
    "finalists.int8=false",
    "finalists.latency=false",
    "resources.concurrent=1",
)


@pytest.mark.slow
def test_the_python_examples_run(tmp_path: Path) -> None:
    """As they stand, but for the length of the study and the name of the student's folder."""
    (tmp_path / "search_spaces").symlink_to(ROOT / "search_spaces")
    changes = ("teacher.training.epochs=2", "search.trials=6", "training.epochs=2")
    shorter = ", ".join(f'"{c}"' for c in (*changes, *FEWER))
    code = block("commands.md", "python", "run_study").replace(
        '"study.name=from-python"', f'"study.name=short", {shorter}'
    )
    assert shorter in code
    assert "test_accuracy" in _run(code, tmp_path)
    student = next((tmp_path / "studies" / "short" / "students").iterdir())
    for page in ("tour.md", "shipping.md"):
        given = "studies/digits/students/trial-0027"
        example = block(page, "python", "load_student")
        assert given in example
        images = "import torch\nimages = torch.zeros(3, 1, 8, 8, dtype=torch.uint8)\n"
        code = images + example.replace(given, str(student)) + "\nprint(student.classes)"
        _run(code, tmp_path)


def _run(code: str, folder: Path) -> str:
    """What it printed; that it names digits is checked."""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, timeout=900
    )
    assert done.returncode == 0, done.stderr
    assert re.search(r"[\[(]'\d'(, '\d'){9}[\])]", done.stdout)
    return done.stdout
