"""A command of the user's own that measures on a device: real processes, each way to fail."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import pytest

from kdsearch.errors import RunError
from kdsearch.graphs.device_command import command_latency
from kdsearch.graphs.onnx_file import to_onnx
from kdsearch.graphs.stopwatch import Stopwatch
from kdsearch.spec.latency import LatencySection
from tests.graphs.networks import sample_network


def program(tmp_path: Path, text: str) -> str:
    file = tmp_path / "bench.py"
    file.write_text(text)
    return shlex.join([sys.executable, str(file)])


def test_the_last_number_counts_and_the_file_is_the_last_argument(tmp_path: Path) -> None:
    command = program(
        tmp_path,
        "import sys\n"
        "content = open(sys.argv[-1], 'rb').read()\n"
        "print('ran 20 times')\nprint('median:', len(content) / 1000, 'ms')\n",
    )
    assert command_latency(command, b"x" * 2_500, 60, 0) == pytest.approx(2_500)


def test_the_file_stands_where_the_command_wants_it(tmp_path: Path) -> None:
    command = program(
        tmp_path, "import sys\nprint(len(open(sys.argv[1], 'rb').read()), sys.argv[2][2:])\n"
    )
    assert command_latency(f"{command} {{file}} --7.5", b"x", 60, 0) == pytest.approx(7_500)


def test_it_is_tried_again_and_then_told(tmp_path: Path) -> None:
    tries = tmp_path / "tries"
    text = f"open({str(tries)!r}, 'a').write('.')\n"
    command = program(
        tmp_path,
        f"{text}import sys\nif open({str(tries)!r}).read() == '.':\n    sys.exit(1)\nprint(3)\n",
    )
    assert command_latency(command, b"", 60, 1) == pytest.approx(3_000)
    assert tries.read_text() == ".."
    tries.unlink()
    failing = program(tmp_path, f"{text}import sys\nsys.exit('board is off')\n")
    with pytest.raises(RunError, match=r"failed with exit code 1: board is off; fix it"):
        command_latency(failing, b"", 60, 2)
    assert tries.read_text() == "..."


@pytest.mark.parametrize("printed", ["", "fast", "0", "-0", "v1.2x"])
def test_what_prints_no_milliseconds_is_told(tmp_path: Path, printed: str) -> None:
    command = program(tmp_path, f"print({printed!r})\n")
    with pytest.raises(RunError, match="must print milliseconds above 0 as its last number"):
        command_latency(command, b"", 60, 0)


def test_what_hangs_or_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"took longer than 0.5 s; raise latency.timeout"):
        command_latency(program(tmp_path, "import time\ntime.sleep(60)\n"), b"", 0.5, 0)
    with pytest.raises(RunError, match="cannot be run"):
        command_latency("no-such-program-here", b"", 60, 0)


def test_a_stopwatch_with_a_command_gives_it_real_files(tmp_path: Path) -> None:
    command = program(
        tmp_path,
        "import sys, onnx\nmodel = onnx.load(sys.argv[1])\nprint(len(model.graph.node) / 8)\n",
    )
    content = to_onnx(sample_network("convnet"), {})
    stopwatch = Stopwatch(LatencySection(command=command))
    one, two = stopwatch.microseconds(content), stopwatch.together([content, content])
    assert two == [one, one]
    assert one > 0
