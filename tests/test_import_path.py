"""Where modules are looked for, in a Python whose path begins as that of a worker of Ray."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import os, sys
sys.path.insert(0, {first!r})
import kdsearch
from kdsearch.import_path import current_directory_searched
import statistics, junk
print(statistics.mean([1, 2]), junk.WHOSE, sys.path.count(os.getcwd()))
os.chdir({other!r})
with current_directory_searched():
    import other
print(other.WHOSE, os.getcwd() in sys.path)
"""


@pytest.mark.parametrize("first", ["", "{here}"])
def test_the_current_directory_comes_behind_the_standard_library_and_before_the_rest(
    first: str, tmp_path: Path
) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    for folder in (here, there):
        folder.mkdir()
    (here / "statistics.py").write_text("raise RuntimeError")
    (here / "junk.py").write_text("WHOSE = 'mine'")
    (there / "other.py").write_text("WHOSE = 'mine too'")
    script = SCRIPT.format(first=first.format(here=here), other=str(there))
    done = subprocess.run(
        [sys.executable, "-P", "-c", script], cwd=here, capture_output=True, text=True, check=False
    )
    assert (done.stderr, done.stdout.split("\n")[:2]) == ("", ["1.5 mine 1", "mine too False"])


def test_a_directory_that_was_removed_is_none_to_look_through(tmp_path: Path) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    script = "import os; os.rmdir(os.getcwd()); from kdsearch.cli import main; main()"
    command = [sys.executable, "-c", script, "-h"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
