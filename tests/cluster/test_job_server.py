from __future__ import annotations

import os
import socket
import sys
import time
from pathlib import Path

import pytest

from kdsearch.cluster import job_server
from kdsearch.cluster.job_server import JobServer
from kdsearch.errors import ClusterError, MissingExtraError, UserError
from tests.cluster.conftest import FakeJobServer


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.mark.parametrize("address", ["auto", "127.0.0.1:8265", "ray://head:10001", ""])
def test_an_address_without_http_is_refused(address: str) -> None:
    with pytest.raises(UserError, match="write it as http://HOST:PORT"):
        JobServer(address)


def test_nothing_there_is_told_at_once() -> None:
    start = time.monotonic()
    with pytest.raises(ClusterError, match="no job server answers at http://127"):
        JobServer(f"http://127.0.0.1:{closed_port()}")
    assert time.monotonic() - start < 9


def test_a_silent_server_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_server, "ANSWER_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        start = time.monotonic()
        with pytest.raises(ClusterError, match="no job server answers"):
            JobServer(f"http://127.0.0.1:{silent.getsockname()[1]}")
        assert time.monotonic() - start < 9


@pytest.mark.parametrize("code", [401, 403])
def test_a_refused_token_says_how_to_give_one(fake_server: FakeJobServer, code: int) -> None:
    fake_server.refusal = code
    with pytest.raises(ClusterError, match=r"token.*RAY_AUTH_MODE=token.*RAY_AUTH_TOKEN"):
        JobServer(fake_server.address)


@pytest.mark.parametrize("code", [404, 500])
def test_a_server_of_another_kind_is_told(fake_server: FakeJobServer, code: int) -> None:
    fake_server.refusal = code
    with pytest.raises(ClusterError, match="check that the address is that of a Ray cluster"):
        JobServer(fake_server.address)


def test_the_given_address_counts_above_the_environment(
    fake_server: FakeJobServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in job_server.OVERRIDING:
        monkeypatch.setenv(name, f"http://127.0.0.1:{closed_port()}")
    JobServer(f"{fake_server.address}/")
    assert "GET /api/version" in fake_server.asked
    assert all(name in os.environ for name in job_server.OVERRIDING)


def test_without_the_extra_its_install_command_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "aiohttp", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'kdsearch\[cluster\]'"):
        JobServer("http://127.0.0.1:8265")


def test_a_job_that_the_server_refuses(fake_server: FakeJobServer, tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text("x: 1\n")
    server = JobServer(fake_server.address)
    fake_server.refusal = 500
    with pytest.raises(ClusterError, match="status code 500"):
        server.submit("x-1", "true", tmp_path, {})
    assert fake_server.jobs == []


def test_a_log_that_cannot_be_followed_tells_what_may_have_become_of_the_job(
    fake_server: FakeJobServer,
) -> None:
    server = JobServer(fake_server.address)
    with pytest.raises(
        ClusterError,
        match=r"\(ray job logs tiny-1 --follow.*with --resume",
    ):
        server.print_log("tiny-1")
