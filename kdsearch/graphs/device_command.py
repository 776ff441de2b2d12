"""A benchmark of the user's own, such as on a board, which prints milliseconds for an ONNX file."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

from kdsearch.errors import RunError

FILE = "{file}"
"""Stands for the file in a command; without it, the file is the last argument."""

_NUMBER = re.compile(r"(?<![\w.])\d+(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\w.])")


def command_latency(command: str, content: bytes, timeout: float, retries: int) -> float:
    """Microseconds of a network by a command: the last number that it prints, in milliseconds.

    Args:
        command: Split as a POSIX shell does, and run without one.
        content: The ONNX file, which lies in a folder of its own while the command runs.
        timeout: Seconds of one try.
        retries: Further tries where one fails.

    Raises:
        RunError: No try gave a number above 0.
    """
    with TemporaryDirectory(prefix="kdsearch-latency-") as folder:
        file = Path(folder) / "student.onnx"
        file.write_bytes(content)
        words = [word.replace(FILE, str(file)) for word in shlex.split(command)]
        if FILE not in command:
            words.append(str(file))
        for left in reversed(range(retries + 1)):
            try:
                return 1e3 * _milliseconds(words, timeout)
            except RunError:
                if not left:
                    raise
    raise AssertionError("there is one try at least")


def _milliseconds(words: list[str], timeout: float) -> float:
    told = f"latency.command ({shlex.join(words)})"
    try:
        done = subprocess.run(
            words, capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired:
        raise RunError(
            f"{told} took longer than {timeout:g} s; raise latency.timeout or fix the command"
        ) from None
    except OSError as error:
        raise RunError(f"{told} cannot be run ({error.strerror}); fix it") from None
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines()
        said = f": {lines[-1]}" if lines else ""
        raise RunError(f"{told} failed with exit code {done.returncode}{said}; fix it")
    numbers = _NUMBER.findall(done.stdout)
    if not numbers or float(numbers[-1]) <= 0:
        raise RunError(
            f"{told} must print milliseconds above 0 as its last number, and printed "
            f"{done.stdout.strip()[-80:]!r}"
        )
    return float(numbers[-1])
