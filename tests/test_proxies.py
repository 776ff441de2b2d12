"""Servers of this machine behind a proxy that does not answer."""

from __future__ import annotations

import os
import socket
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
import requests

from kdsearch.proxies import reach_this_machine_directly


@pytest.mark.parametrize(
    ("given", "after"),
    [
        ({}, "localhost,127.0.0.1,::1"),
        ({"NO_PROXY": "corp.example, 127.0.0.1"}, "corp.example,127.0.0.1,localhost,::1"),
        ({"no_proxy": "*"}, "*"),
    ],
)
def test_a_server_of_this_machine_is_reached_past_a_dead_proxy(
    given: dict[str, str], after: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "")  # so that it is as it was after the test
        monkeypatch.delenv(name)
    with socket.socket() as dead, HTTPServer(("127.0.0.1", 0), Answer) as server:
        dead.bind(("127.0.0.1", 0))  # bound but not listening: connections are refused
        for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{dead.getsockname()[1]}")
        for name, value in given.items():
            monkeypatch.setenv(name, value)
        reach_this_machine_directly()
        threading.Thread(target=server.handle_request, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        assert requests.get(address, timeout=5).status_code == 204
    assert requests.compat.getproxies()["no"] == after


def test_without_a_proxy_nothing_is_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    reach_this_machine_directly()
    assert "no_proxy" not in os.environ
