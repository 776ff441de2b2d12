"""How much memory a process needs for an ONNX file, beyond onnxruntime itself.

Run as a program, it measures in its own process: ``python -m kdsearch.graphs.peak_memory FILE``.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

_STATUS = Path("/proc/self/status")
_RUNS = 5


def peak_memory(content: bytes, batch: int = 1, threads: int = 1) -> int | None:
    """Bytes by which a process grows at most that loads an ONNX file and runs it.

    Args:
        content: The file.
        batch: Samples of a run.
        threads: Of onnxruntime.

    Returns:
        The bytes; ``None`` elsewhere than on Linux.

    Raises:
        subprocess.CalledProcessError: The file cannot be run.
    """
    if not _STATUS.exists():
        return None
    with TemporaryDirectory(prefix="kdsearch-memory-") as folder:
        file = Path(folder) / "network.onnx"
        file.write_bytes(content)
        command = [sys.executable, "-m", "kdsearch.graphs.peak_memory", str(file)]
        words = [*command, str(batch), str(threads)]
        done = subprocess.run(words, capture_output=True, text=True, check=True)
    return int(done.stdout)


def _high_water() -> int:
    """Most memory that this process has had: ``VmHWM`` (proc(5)), in bytes."""
    line = next(each for each in _STATUS.read_text().splitlines() if each.startswith("VmHWM"))
    return 1024 * int(line.split()[1])


def _main(file: str, batch: str, threads: str) -> None:
    import onnxruntime  # noqa: F401 - what it takes by itself is not counted

    from kdsearch.graphs.run import Session

    content = Path(file).read_bytes()
    before = _high_water()
    session = Session(content, int(threads))
    samples = session.blank(int(batch))
    for _ in range(_RUNS):
        session.outputs(samples)
    print(_high_water() - before)


if __name__ == "__main__":
    _main(*sys.argv[1:])
