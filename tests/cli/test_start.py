"""The program as it is started: its help, what it imports, and an error in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from .command import SPEC

HEAVY = ("torch", "ray", "mlflow", "optuna", "pandas", "plotly", "numpy")
OF_STUDIES = ("front", "ranking", "pick", "export", "report", "importance", "ui", "sync")
WATCH = f"""
import sys
from kdsearch import cli
sys.argv = ["kdsearch", *sys.argv[1:]]
try:
    cli.main()
except SystemExit as left:
    print("code", left.code, "heavy", [name for name in {HEAVY} if name in sys.modules])
"""


def python(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"COLUMNS": "100"}
    return subprocess.run(
        [sys.executable, *words],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["-h"], 0),
        (["--version"], 0),
        (["methods"], 0),
        (["methods", "dkd"], 0),
        (["methods", "kd+at"], 0),
        (["methods", "kd+dkd"], 2),
        (["ways"], 0),
        (["ways", "low_rank"], 0),
        (["models"], 0),
        *(([command, "absent"], 2) for command in OF_STUDIES),
        (["run", "-h"], 0),
        (["run", "absent.yaml"], 2),
        (["run", "faulty.yaml"], 2),
        (["validate", "faulty.yaml", "--set", "study.name=x"], 2),
        (["rnu"], 2),
    ],
)
def test_help_and_faults_of_the_file_need_no_heavy_import(
    tmp_path: Path, words: list[str], code: int
) -> None:
    (tmp_path / "faulty.yaml").write_text("study: {nam: x}")
    done = python("-c", WATCH, *words, cwd=tmp_path)
    assert done.stdout.splitlines()[-1] == f"code {code} heavy []"


def test_the_version_is_that_of_the_package(tmp_path: Path) -> None:
    done = python("-m", "kdsearch.cli", "--version", cwd=tmp_path)
    assert done.stdout == f"kdsearch {version('kdsearch')}\n"


def test_the_spec_package_needs_no_heavy_import(tmp_path: Path) -> None:
    code = f"import kdsearch, kdsearch.spec, sys; print([n for n in {HEAVY} if n in sys.modules])"
    assert python("-c", code, cwd=tmp_path).stdout.strip() == "[]"


def test_an_error_leaves_a_process_with_one_line_and_its_code(tmp_path: Path) -> None:
    done = python("-m", "kdsearch.cli", "run", "absent.yaml", cwd=tmp_path)
    assert done.returncode == 2
    assert (done.stdout, done.stderr) == (
        "",
        "kdsearch: no such file: absent.yaml; check the path\n",
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "example"),
    [
        ([], "kdsearch run search_spaces/digits.yaml --dry-run --set search.trials=10"),
        (["run"], "kdsearch run search_spaces/digits.yaml --resume"),
        (["validate"], "kdsearch validate search_spaces/digits.yaml"),
        (["front"], "kdsearch front studies/digits"),
        (["ranking"], "kdsearch ranking studies/digits"),
        (["methods"], "kdsearch methods kd+at"),
        (["ways"], "kdsearch ways low_rank+quantize"),
        (["models"], "kdsearch models"),
        (["ui"], "kdsearch ui studies/digits --port 5001"),
        (["submit"], "--set study.directory=/shared/studies --set tracking.uri=http://mlflow:5000"),
    ],
)
def test_help_ends_with_examples_one_a_line(tmp_path: Path, words: list[str], example: str) -> None:
    done = python("-m", "kdsearch.cli", *words, "-h", cwd=tmp_path)
    assert done.returncode == 0
    lines = [line.strip() for line in done.stdout.splitlines()]
    start = max(lines.index(head) for head in ("Example:", "Examples:") if head in lines)
    assert example in lines[start:]
    assert all(line for line in lines[start : lines.index(example, start)])


def test_files_named_as_pythons_own_modules_do_not_take_their_place(tmp_path: Path) -> None:
    """As they would where the directory is looked through first: PyTorch imports most of these."""
    (tmp_path / "spec.yaml").write_text(SPEC.replace("digits\n", "own:images\n"))
    (tmp_path / "own.py").write_text(
        "import numpy\n"
        "def images():\n"
        "    return numpy.zeros((40, 8, 8), numpy.uint8), numpy.arange(40) % 2\n"
    )
    for name in ("queue", "random", "statistics", "profile", "types", "timeit", "code", "copy"):
        (tmp_path / f"{name}.py").write_text(f"raise RuntimeError('{name}.py was imported')")
    for words in (["-m", "kdsearch.cli"], ["-c", "from kdsearch.cli import main; main()"]):
        done = python("-P", *words, "validate", "spec.yaml", cwd=tmp_path)
        assert (done.returncode, done.stderr) == (0, "")
    refused = python(
        "-P", *words, "validate", "spec.yaml", "--set", "data.source=copy:images", cwd=tmp_path
    )
    assert refused.returncode == 2
    assert "give your file another name than copy.py" in refused.stderr
