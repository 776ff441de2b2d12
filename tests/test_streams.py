"""Output to where only some letters can be printed, and to where nobody reads."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from .cli.command import SPEC

PROGRAM = [sys.executable, "-m", "kdsearch.cli"]


SAY = r"""
from kdsearch.cli import app, main
app.command("say")(lambda: print("1\u00d78\u00d78 \u03bc \u00e9 \u2009\udcf6"))
main()
"""


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"PYTHONIOENCODING": "ascii"}, b"1x8x8 mu e  \\udcf6\n"),
        (
            {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
            b"1x8x8 mu e  \\udcf6\n",
        ),
        ({"PYTHONIOENCODING": "latin-1"}, b"1\xd78\xd78 mu \xe9  \\udcf6\n"),
        ({"PYTHONIOENCODING": "utf-8"}, "1×8×8 μ é \u2009\\udcf6\n".encode()),
    ],
    ids=["ascii", "C", "latin-1", "utf-8"],
)
def test_every_letter_is_printed_as_the_encoding_can(
    variables: dict[str, str], said: bytes
) -> None:
    environment = os.environ | variables
    command = [sys.executable, "-c", SAY, "say"]
    done = subprocess.run(command, env=environment, capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, said, b"")


def test_a_command_prints_its_tables_in_ascii(tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text(SPEC)
    done = subprocess.run(
        [*PROGRAM, "validate", "spec.yaml"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONIOENCODING": "ascii"},
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"samples of 1x8x8," in done.stdout


@pytest.mark.parametrize("words", [["methods"], ["validate", "spec.yaml"], ["-h"]])
def test_where_nobody_reads_on_the_program_ends_quietly(words: list[str], tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text(SPEC)
    read, write = os.pipe()
    os.close(read)
    try:
        done = subprocess.run(
            [*PROGRAM, *words], cwd=tmp_path, stdout=write, stderr=subprocess.PIPE, check=False
        )
    finally:
        os.close(write)
    assert (done.returncode, done.stderr) == (141, b"")
