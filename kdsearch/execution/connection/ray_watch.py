"""Notices that Ray has ended under a study, before Ray ends the study's process without a word."""

from __future__ import annotations

import errno
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import ray

from kdsearch.errors import ClusterError

_EVERY_SECONDS = 2.0


@dataclass
class _Server:
    """One of Ray's servers, and how long it may be away until it is given up."""

    name: str
    host: str
    port: int
    patience: float
    answered: float = field(default_factory=time.monotonic)

    def is_lost(self) -> bool:
        if self._is_up():
            self.answered = time.monotonic()
        return time.monotonic() - self.answered > self.patience

    def _is_up(self) -> bool:
        """Whether something listens: the kernel tells, also of a process that is busy or frozen."""
        try:
            socket.create_connection((self.host, self.port), timeout=_EVERY_SECONDS).close()
        except (ConnectionError, TimeoutError):
            return False
        except OSError as error:  # such as no more files of our own, which says nothing of Ray
            return error.errno not in (errno.EHOSTUNREACH, errno.ENETUNREACH)
        return True


@contextmanager
def ray_watched(stop: Callable[[ClusterError], None]) -> Iterator[None]:
    """Tell it and end this process, with its exit code, if Ray ends while the block runs.

    Ray itself would end the process, within some seconds of the raylet's end and a minute of the
    control service's; the thread that runs the study then waits inside Ray and is past reaching.

    Args:
        stop: Notes down how the study ended; called in a thread of its own.
    """
    ended = threading.Event()
    servers = _servers()

    def watch() -> None:
        while not ended.wait(_EVERY_SECONDS):
            if lost := [server.name for server in servers if server.is_lost()]:
                _end(stop, lost[0])

    thread = threading.Thread(target=watch, name="ray-watch", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _end(stop: Callable[[ClusterError], None], lost: str) -> None:
    error = ClusterError(f"Ray has ended under the study: {lost} is gone; go on with --resume")
    try:
        stop(error)
    finally:
        os._exit(error.exit_code)


def _servers() -> list[_Server]:
    context = ray.get_runtime_context()
    host, _, port = context.gcs_address.rpartition(":")
    # a control service that is set up to be restarted may be away for half a minute
    control = _Server("its control service (gcs_server)", host, int(port), 45.0)
    raylets = [
        _Server("its raylet", node["NodeManagerAddress"], node["NodeManagerPort"], 5.0)
        for node in ray.nodes()
        if node["NodeID"] == context.get_node_id()
    ]
    return [control, *raylets]
