"""Whether a Ray cluster answers at an address, before Ray itself tries for minutes."""

from __future__ import annotations

import os
import queue
import socket
import threading

from kdsearch.errors import ClusterError, StudyError

LIMIT_SECONDS = 10.0
"""A cluster that has not answered by then is taken for none."""

# The opening of HTTP/2, on which gRPC stands: the client's preface and an empty SETTINGS frame,
# which a server answers with its own SETTINGS at once (RFC 9113, 3.4 and 4.1).
_OPENING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))
_HEAD_BYTES, _KIND, _SETTINGS = 9, 3, 4


def check_address(address: str | None) -> None:
    """Refuse an address of which no Ray cluster answers.

    Args:
        address: Address of a cluster; absent: ``RAY_ADDRESS``, if that is set.

    Raises:
        ClusterError: Nothing answers within :data:`LIMIT_SECONDS`, or something else than Ray.
        StudyError: The address is one of Ray Client or of a job server.
    """
    address = address or os.environ.get("RAY_ADDRESS") or ""
    if "://" in address:
        kind = "Ray Client" if address.startswith("ray://") else "a job server"
        raise StudyError(
            f"{address} is an address of {kind}, through which a search cannot be steered; "
            "submit the study as a job (kdsearch submit), or give HOST:PORT of the head"
        )
    if address in ("", "auto", "local"):
        return
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 2**16:
        raise StudyError(
            f"{address} is no address of a Ray cluster; give HOST:PORT of its head, such as "
            "10.0.0.1:6379"
        )
    if reason := _refusal(host.strip("[]"), int(port)):
        raise unreachable(address, reason)


def unreachable(address: str, reason: str) -> ClusterError:
    """The error that tells why a cluster cannot be reached."""
    return ClusterError(
        f"the Ray cluster at {address} cannot be reached ({reason}); check that it runs and its "
        "address"
    )


def _refusal(host: str, port: int) -> str | None:
    """Why a server is not Ray's, in time even where the name of its host is not resolved."""
    found: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    threading.Thread(target=lambda: found.put(_ask(host, port)), daemon=True).start()
    try:
        return found.get(timeout=LIMIT_SECONDS)
    except queue.Empty:
        return f"no answer within {LIMIT_SECONDS:g} seconds"


def _ask(host: str, port: int) -> str | None:
    try:
        with socket.create_connection((host, port), timeout=LIMIT_SECONDS) as connection:
            if os.environ.get("RAY_USE_TLS", "0") != "0":
                return None  # then Ray alone can speak to it
            connection.sendall(_OPENING)
            head = connection.recv(_HEAD_BYTES, socket.MSG_WAITALL)
    except (OSError, UnicodeError) as error:  # a name may be none that can be looked up
        return str(error)
    settings = len(head) == _HEAD_BYTES and head[_KIND] == _SETTINGS
    return None if settings else "what listens there is not Ray"
