"""The libraries of ONNX are imported when a file is made or run, and not before."""

from __future__ import annotations

import os
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


def test_onnxruntime_tells_nobody_of_its_use() -> None:
    """With telemetry it says on its first import that it cannot keep an id of the device."""
    code = "import os; import kdsearch.graphs.run, onnxruntime; print(os.environ['{}'])"
    name = "ORT_DISABLE_TELEMETRY"
    plain = {key: value for key, value in os.environ.items() if key != name}
    command = [sys.executable, "-c", code.format(name)]
    done = subprocess.run(
        command, env=plain | {"HOME": "/dev/null"}, capture_output=True, text=True, check=True
    )
    assert done.stdout == "1\n"
    assert done.stderr == ""
