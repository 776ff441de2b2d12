"""The README's promises: it is short, its lines set up, its files exist, its lists are whole."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from kdsearch.methods import METHODS
from kdsearch.models.registry import FAMILIES
from kdsearch.spec import parse_spec

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text()
LINES = 200


def table(head: str) -> str:
    """The table whose head begins with a text."""
    found = re.search(rf"^\| {head}.*?\n\n", TEXT, re.DOTALL | re.MULTILINE)
    assert found
    return found[0]


def test_it_is_short() -> None:
    assert len(TEXT.splitlines()) <= LINES


def test_every_link_leads_to_a_file() -> None:
    links = [link for link in re.findall(r"\]\(([^)#]+)", TEXT) if "://" not in link]
    assert "docs/few-labels-front.png" in links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_every_page_is_linked_to() -> None:
    pages = {f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")}
    assert pages - set(re.findall(r"\]\(([^)#]+)", TEXT)) == set()


def test_the_lines_for_setting_up_use_the_constraints() -> None:
    lines = [line for line in TEXT.splitlines() if line.startswith("python3 -m venv")]
    assert len(lines) == 2
    assert lines[0].endswith("kdsearch run search_spaces/digits_few_labels.yaml")
    assert "python -m pytest" in lines[1]
    assert all("-c constraints.txt" in line for line in lines)
    versions = (ROOT / "constraints.txt").read_text().splitlines()
    assert all(re.fullmatch(r"#.*|[\w.\-]+==[\w.+\-]+", line) for line in versions)


def test_the_start_of_the_readme_holds_for_its_space() -> None:
    space = yaml.safe_load((ROOT / "search_spaces" / "digits_few_labels.yaml").read_text())
    assert space["study"]["name"] == "digits_few_labels"
    assert space["search"]["trials"] == 60
    assert space["data"]["labels"] == 100


def test_the_example_of_your_own_images_loads() -> None:
    found = re.search(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
    assert found
    spec = parse_spec(found[1])
    assert (spec.data.source, spec.search.size) == ("image_folder", ("macs",))
    assert set(spec.methods) == {"none", "kd", "dkd", "dist", "kd+at"}


def test_every_method_and_every_family_is_listed() -> None:
    assert set(re.findall(r"`(\w+)`", table("kind \\| methods"))) == set(METHODS)
    assert set(re.findall(r"`(\w+)`", table("family"))) == set(FAMILIES)


def test_families_with_a_depth_are_told_apart() -> None:
    row = next(row for row in table("family").splitlines() if row.endswith("| depth |"))
    told = set(re.findall(r"`(\w+)`", row))
    assert told == {name for name, family in FAMILIES.items() if family.default_depth is not None}
