"""MLflow's server as a quiet process that ends with the one that started it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import suppress
from types import TracebackType
from typing import IO

from kdsearch.errors import RunError, one_line
from kdsearch.proxies import reach_this_machine_directly

LOOK_SECONDS = 0.2
"""How often it is looked whether the server answers, or the parent has ended."""

END_SECONDS = 5.0
"""How long the server may take to end before it is killed."""

NO_JOBS = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
"""Evaluations by language models take a dozen processes of their own."""


class UiProcess:
    """MLflow's server, with all that it starts, for as long as this context lasts.

    Args:
        uri: The store.
        host: Address to listen on.
        port: Port to listen on.
        address: Where this machine reaches it.
    """

    def __init__(self, uri: str, host: str, port: int, address: str) -> None:
        self.address = address
        self._uri = uri
        self._command = [sys.executable, "-m", "kdsearch.tracking.ui.server"]
        self._command += ["--host", host, "--port", str(port), "--workers", "1"]
        # whoever ignores the end of the terminal, as nohup does, outlives the shell
        stays = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        self._parent = None if stays else os.getppid()

    def __enter__(self) -> UiProcess:
        self._output: IO[bytes] = tempfile.TemporaryFile()
        self._process = subprocess.Popen(
            self._command,
            # the store not as an argument, which others can read
            env=os.environ | NO_JOBS | {"MLFLOW_BACKEND_STORE_URI": self._uri},
            stdin=subprocess.PIPE,  # its end tells the server that this process is gone
            stdout=self._output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        return self

    def wait_for_answer(self) -> None:
        """Wait until the server answers.

        Raises:
            RunError: It has ended.
        """
        reach_this_machine_directly()
        while self._goes_on():
            with suppress(OSError):
                urllib.request.urlopen(f"{self.address}/health", timeout=5).close()
                return
            time.sleep(LOOK_SECONDS)

    def wait_for_end(self) -> None:
        """Wait until the parent of this process ends.

        Raises:
            RunError: The server has ended.
        """
        while self._goes_on():
            time.sleep(LOOK_SECONDS)

    def _goes_on(self) -> bool:
        """Whether the parent of this process is there."""
        if self._process.poll() is not None:
            raise RunError(f"MLflow's server has ended ({self._said()}); start kdsearch ui again")
        if self._parent not in (None, os.getppid()):
            sys.exit(0)
        return True

    def _said(self) -> str:
        """The last line that the server has written, without passwords."""
        self._output.seek(0)
        lines = self._output.read().decode(errors="replace").split("\n")
        told = [re.sub(r"\x1b\[[0-9;]*m", "", line).strip() for line in lines if line.strip()]
        return one_line(told[-1], self._uri) if told else f"exit code {self._process.returncode}"

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(END_SECONDS)
        self._signal(signal.SIGKILL)
        self._process.wait()
        self._output.close()

    def _signal(self, number: signal.Signals) -> None:
        """Send a signal to the server and to all that it has started."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)
