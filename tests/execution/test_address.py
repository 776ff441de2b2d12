"""Addresses at which no Ray cluster answers: each is told within seconds."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from kdsearch.errors import ClusterError, KdsearchError, StudyError
from kdsearch.execution.connection import address as checked
from kdsearch.execution.connection.address import check_address


@contextmanager
def silent() -> Iterator[str]:
    """A server that accepts, and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


@contextmanager
def website() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def greeter(words: bytes) -> Iterator[str]:
    """A server that says something of its own and hangs up, as one of mail or of SSH does."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            connection.sendall(words)
            connection.close()

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"127.0.0.1:{server.getsockname()[1]}"
        thread.join()


@pytest.mark.parametrize(
    ("address", "error", "words"),
    [
        ("127.0.0.1:1", ClusterError, "refused"),
        ("no-such-host.invalid:6379", ClusterError, "not known|resolution"),
        (f"{'a' * 70}.invalid:6379", ClusterError, "cannot be reached"),
        ("ray://127.0.0.1:1", StudyError, "Ray Client.*kdsearch submit"),
        ("http://127.0.0.1:8265", StudyError, "job server.*kdsearch submit"),
        ("127.0.0.1", StudyError, "give HOST:PORT"),
        (":6379", StudyError, "give HOST:PORT"),
        ("127.0.0.1:99999", StudyError, "give HOST:PORT"),
        ("127.0.0.1:6379x", StudyError, "give HOST:PORT"),
    ],
)
def test_an_address_that_cannot_serve_is_one_sentence(
    address: str, error: type[KdsearchError], words: str
) -> None:
    with pytest.raises(error, match=words) as caught:
        check_address(address)
    assert address in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("words", [b"SSH-2.0-OpenSSH_9.2\r\n", b"", b"220 \r\n"])
def test_a_server_of_another_kind_is_told(words: bytes) -> None:
    with greeter(words) as address, pytest.raises(ClusterError, match="cannot be reached"):
        check_address(address)
    with website() as address, pytest.raises(ClusterError, match="not Ray"):
        check_address(address)


def test_a_silent_server_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    assert checked.LIMIT_SECONDS <= 15
    monkeypatch.setattr(checked, "LIMIT_SECONDS", 0.5)
    begun = time.monotonic()
    with silent() as address, pytest.raises(ClusterError, match=r"no answer|timed out"):
        check_address(address)
    assert time.monotonic() - begun < 9


def test_a_name_that_is_not_resolved_in_time_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """As behind a firewall that swallows the questions to the name server."""
    given_up = threading.Event()

    def unanswered(*_: object, **__: object) -> None:
        given_up.wait(10)
        raise OSError("timed out")

    monkeypatch.setattr(checked, "LIMIT_SECONDS", 0.2)
    monkeypatch.setattr(socket, "getaddrinfo", unanswered)
    with pytest.raises(ClusterError, match=r"no answer within 0\.2 seconds"):
        check_address("head:6379")
    given_up.set()


def test_the_address_of_the_environment_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    with pytest.raises(ClusterError, match=r"127\.0\.0\.1:1"):
        check_address(None)
    monkeypatch.setenv("RAY_ADDRESS", "auto")
    check_address(None)
