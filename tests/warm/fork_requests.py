"""How a fork is asked for: a command line, its environment and folder, and open descriptors."""

from __future__ import annotations

import json
import socket
from collections.abc import Sequence
from typing import Any


def send(connection: socket.socket, asked: dict[str, Any], descriptors: Sequence[int]) -> None:
    """Ask the other end of a connection."""
    message = json.dumps(asked).encode()
    socket.send_fds(connection, [len(message).to_bytes(4, "big")], descriptors)
    connection.sendall(message)


def receive(connection: socket.socket, count: int) -> tuple[dict[str, Any], list[int]] | None:
    """What was asked, and so many descriptors; nothing, if the connection has ended."""
    length, descriptors, _, _ = socket.recv_fds(connection, 4, count)
    missing, parts = int.from_bytes(length, "big"), []
    while missing and (part := connection.recv(missing)):
        parts.append(part)
        missing -= len(part)
    if missing or not parts:
        return None
    return json.loads(b"".join(parts)), descriptors
