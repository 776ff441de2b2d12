"""The server that forks Ray's workers, for as long as the tests of one process run."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import torch

_HERE = Path(__file__).parent


@contextmanager
def forked_workers() -> Iterator[None]:
    """Every Ray that is started here, or in a process below, forks its workers.

    Not on a machine with GPUs, which a forked process may be unable to use, and on Linux alone.
    """
    if torch.cuda.is_available() or not hasattr(os, "pidfd_open"):
        yield
        return
    with TemporaryDirectory(prefix="kdsearch-fork-") as folder, pytest.MonkeyPatch.context() as at:
        address = str(Path(folder) / "server")
        command = [sys.executable, str(_HERE / "server.py"), address]
        # a session of its own, which an interrupt of the tests does not reach
        with subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True) as server:
            at.setenv("KDSEARCH_TESTS_FORK", address)
            at.setenv("PYTHONPATH", str(_HERE), prepend=os.pathsep)
            yield
            assert server.poll() is None, "the server of forks has ended before the tests"
            server.communicate()
