"""The libraries of ONNX are imported when a file is made or run, and not before."""

from __future__ import annotations

import subprocess
import sys


def test_importing_the_room_imports_none_of_them() -> None:
    code = (
        "import sys, kdsearch, kdsearch.export, kdsearch.graphs.metadata\n"
        "import kdsearch.graphs.int8_file, kdsearch.graphs.run, kdsearch.graphs.program\n"
        "print([name for name in sys.modules if name.partition('.')[0].startswith('onnx')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
