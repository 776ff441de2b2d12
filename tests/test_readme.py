"""The README's promises: its commands exist, its files exist, and its example runs as it stands."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from kdsearch.cli import app
from kdsearch.methods import METHODS
from kdsearch.space.checks import make_plan
from kdsearch.spec import parse_spec

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text()


def block(language: str, holds: str = "") -> str:
    """The first example in a language that holds a text."""
    found = re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)
    return next(example for example in found if holds in example)


def test_the_commands_are_those_of_the_command_line() -> None:
    listed = set(re.findall(r"^kdsearch (\w+)", TEXT, re.MULTILINE))
    known = {command.name or command.callback.__name__ for command in app.registered_commands}
    assert listed == known


def test_every_link_leads_to_a_file() -> None:
    links = re.findall(r"\]\(([^)#]+)\)", TEXT)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_search_space_of_the_readme_is_sound() -> None:
    plan = make_plan(parse_spec(block("yaml", "study: {name: digits")))
    assert set(plan.space.methods) == {"none", "kd", "kd+fitnet"}


def test_the_search_section_of_the_readme_is_sound() -> None:
    space = yaml.safe_load(block("yaml", "study: {name: digits"))
    section = yaml.safe_load(block("yaml", "warm_start"))
    del section["search"]["warm_start"]  # a study that is not here
    plan = make_plan(parse_spec(yaml.safe_dump(space | section)))
    assert plan.spec.search.size == ("parameters", "latency")
    assert plan.spec.search.max_epochs == 1000


def test_the_sections_for_tables_and_uneven_classes_are_sound() -> None:
    space = yaml.safe_load(block("yaml", "study: {name: digits"))
    sections = yaml.safe_load(block("yaml", "source: table"))
    sections |= yaml.safe_load(block("yaml", "class_weights"))
    spec = parse_spec(yaml.safe_dump(space | sections))
    assert spec.data.table is not None
    assert spec.data.table.target == ("species",)
    assert spec.training.class_weights == "balanced"


def test_the_lines_for_setting_up_use_the_constraints() -> None:
    lines = [line for line in TEXT.splitlines() if line.startswith("python3 -m venv")]
    assert len(lines) == 2
    assert all("-c constraints.txt" in line for line in lines)
    versions = (ROOT / "constraints.txt").read_text().splitlines()
    assert all(re.fullmatch(r"#.*|[\w.\-]+==[\w.+\-]+", line) for line in versions)


def test_the_start_of_the_readme_holds_for_the_digits_space() -> None:
    space = yaml.safe_load((ROOT / "search_spaces" / "digits.yaml").read_text())
    assert space["study"]["name"] == "digits"
    assert space["search"]["trials"] >= 40


@pytest.mark.slow
def test_the_python_example_runs(tmp_path: Path) -> None:
    """As it stands, but for its length."""
    (tmp_path / "search_spaces").symlink_to(ROOT / "search_spaces")
    changes = ("teacher.training.epochs=2", "search.trials=6", "training.epochs=2")
    shorter = ", ".join(f'"{c}"' for c in (*changes, "finalists.seeds=2", "finalists.max=2"))
    code = block("python", "run_study").replace(
        '"study.name=from-python"', f'"study.name=short", {shorter}'
    )
    assert shorter in code
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert "test_accuracy" in done.stdout
    assert re.search(r"\['\d'(, '\d'){9}\]", done.stdout)


def test_the_method_of_ones_own_passes_the_suite_in_at_most_20_lines(tmp_path: Path) -> None:
    example = block("python", "class Cosine")
    assert len(example.strip().splitlines()) <= 20
    (tmp_path / "mine.py").write_text(example)
    (tmp_path / "test_mine.py").write_text(block("python", "MethodConformance"))
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_mine.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout
    assert re.search(r"\d\d passed", done.stdout)


def test_every_method_is_in_the_table_of_methods() -> None:
    table = re.search(r"\| kind \| methods \|.*?\n\n", TEXT, re.DOTALL)[0]
    assert set(re.findall(r"`(\w+)`", table)) == set(METHODS)


def test_the_section_on_teachers_is_sound() -> None:
    teachers = yaml.safe_load(block("yaml", "teachers:"))
    space = yaml.safe_load(block("yaml", "study:"))
    assert make_plan(parse_spec(yaml.safe_dump(space | teachers))).spec.taught_by == tuple(
        teachers["teaching"]["by"]
    )
