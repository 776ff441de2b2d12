"""The site is built with every link checked, and fetches nothing from elsewhere."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("mkdocs", reason="pip install -c constraints.txt '.[docs]'")

ROOT = Path(__file__).parents[1]
SOURCES = ("docs", "mkdocs.yml", "README.md", "CHANGELOG.md", "LICENSE", "cluster.yaml")
FOLDERS = ("search_spaces", "tests/benchmarks/curves", "tests/benchmarks/rungs")


def build(root: Path, site: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(site)],
        cwd=root,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1", "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=600,
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    done = build(ROOT, folder)
    assert done.returncode == 0, done.stderr
    return folder


def test_every_page_is_there(site: Path) -> None:
    pages = {path.relative_to(ROOT / "docs") for path in (ROOT / "docs").rglob("*.md")}
    for page in (*pages, Path("index.md"), Path("changelog.md")):
        assert (site / page).with_suffix(".html").is_file(), page


def test_pages_load_nothing_from_elsewhere(site: Path) -> None:
    for page in site.rglob("*.html"):
        text = page.read_text()
        assert (
            re.findall(r"<(?:script|img|iframe)[^>]*\ssrc=[\"']?(?:https?:)?//[^>]*>", text) == []
        )
        assert re.findall(r"<link[^>]*rel=[\"']?(?:stylesheet|preconnect)[^>]*//[^>]*>", text) == []


def test_files_beside_the_pages_are_the_repositorys(site: Path) -> None:
    linked = re.findall(r'href="(repository/[^"#]+)"', (site / "your-data.html").read_text())
    assert len(linked) >= 5
    for link in linked:
        original = ROOT / link.removeprefix("repository/")
        assert (site / link).read_bytes() == original.read_bytes()


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ("[gone](gone.md)", "docs/gone.md, which is no file"),
        ("[gone](../search_spaces/gone.yaml)", "search_spaces/gone.yaml, which is no file"),
        ("[gone](spec.md#gone)", "#gone"),
    ],
)
def test_a_link_that_leads_nowhere_fails_the_build(tmp_path: Path, wrong: str, told: str) -> None:
    for name in SOURCES:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, tmp_path / name)
    for name in FOLDERS:
        shutil.copytree(ROOT / name, tmp_path / name)
    page = tmp_path / "docs" / "cluster.md"
    page.write_text(page.read_text() + f"\n{wrong}\n")
    done = build(tmp_path, tmp_path / "site")
    assert done.returncode != 0
    assert told in done.stdout + done.stderr
