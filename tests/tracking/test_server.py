"""A real MLflow server, with something before it that refuses or breaks off what it is asked."""

from __future__ import annotations

import http.client
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from kdsearch.api import quieten
from kdsearch.results.record import TrialRecord
from kdsearch.results.study import Study
from kdsearch.spec.sections import TrackingSection
from kdsearch.spec.teaching import TEACHER
from kdsearch.tracking import recorder as module
from kdsearch.tracking.recorder import Recorder
from kdsearch.tracking.store import Store, open_store
from kdsearch.tracking.sync import sync
from tests.servers import first_answer, free_ports
from tests.tracking.playing import ENDED, finish, nested, play, statuses, steps, wait_until

pytestmark = pytest.mark.slow


class Gate(ThreadingHTTPServer):
    """Passes requests on to a server of this machine.

    Attributes:
        status: What every request is answered with in place of that, such as 401.
        breaks_off: How many answers to requests that make runs are broken off.
    """

    daemon_threads = True
    status: int | None = None
    breaks_off = 0

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Passing)
        self.behind: int
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def uri(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Passing(BaseHTTPRequestHandler):
    """One request."""

    server: Gate

    def _pass_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.server.status is not None:
            self._answer(self.server.status, "text/plain", b"sign in first")
            return
        behind = http.client.HTTPConnection("127.0.0.1", self.server.behind, timeout=300)
        headers = {k: v for k, v in self.headers.items() if k.lower() != "host"}
        behind.request(self.command, self.path, body, headers)
        answer = behind.getresponse()
        content = answer.read()
        if self.server.breaks_off and self.path.endswith("/runs/create"):
            self.server.breaks_off -= 1
            self.close_connection = True
            return
        self._answer(answer.status, answer.headers.get("Content-Type", "text/plain"), content)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _pass_on  # noqa: N815

    def _answer(self, status: int, kind: str, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Nothing."""


@pytest.fixture(scope="module")
def gate(empty_database: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gate]:
    folder = tmp_path_factory.mktemp("server")
    made = Gate()
    (made.behind,) = free_ports(1)
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--workers", "1"]
    places = [f"--backend-store-uri=sqlite:///{folder}/m.db", f"--artifacts-destination={folder}/a"]
    with subprocess.Popen(
        [*command, "--port", str(made.behind), *places],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            assert first_answer(f"http://127.0.0.1:{made.behind}/health", process, 120) == 200
            yield made
        finally:
            process.terminate()
            made.shutdown()


@pytest.fixture
def server(
    gate: Gate, study: Study, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Store]:
    """The store behind the gate, with an experiment for the test."""
    quieten()
    monkeypatch.setattr(module, "FLUSH_SECONDS", 0.05)
    tracking = TrackingSection(uri=gate.uri, experiment=request.node.name)
    study.spec = study.spec.model_copy(update={"tracking": tracking})
    yield open_store(tracking)
    gate.status, gate.breaks_off = None, 0


def test_a_server_that_asks_to_sign_in_for_a_while_loses_nothing(
    server: Store,
    gate: Gate,
    study: Study,
    records: list[TrialRecord],
    capfd: pytest.CaptureFixture[str],
) -> None:
    recorder = Recorder(server)
    recorder.study_started(study)
    play(recorder, records[:2])
    gate.status = 401
    play(recorder, records[2:])
    wait_until(lambda: recorder.failure is not None)
    assert "401" in (recorder.failure or "")
    gate.status = None
    finish(recorder, study)
    assert recorder.failure is None
    assert capfd.readouterr() == ("", "")  # no "View run" either
    parent = server.client.get_run(study.state["mlflow"]["run_id"])
    assert parent.info.status == "FINISHED"
    assert statuses(server.client, study) == ENDED
    for run in nested(server.client, study).values():
        assert steps(server.client, run.info.run_id, "train/loss") == [1, 2, 3]


def test_a_server_that_asks_to_sign_in_at_the_end_is_told_as_that_and_gets_the_rest_later(
    server: Store,
    gate: Gate,
    study: Study,
    records: list[TrialRecord],
    capfd: pytest.CaptureFixture[str],
) -> None:
    recorder = Recorder(server)
    recorder.study_started(study)
    play(recorder, records)
    gate.status = 401
    finish(recorder, study)
    out, err = capfd.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert "401" in err
    assert "temporarily" not in err
    assert f"kdsearch sync {study.directory.path} writes the rest" in err
    gate.status = None
    teacher = study.state["teachers"][TEACHER] | {"key": "key", "weights": "teacher.safetensors"}
    study.directory.update(state="finished", teachers={TEACHER: teacher})
    sync(study, None)
    assert server.client.get_run(study.state["mlflow"]["run_id"]).info.status == "FINISHED"
    assert set(nested(server.client, study)) == set(range(6))


def test_an_answer_that_is_broken_off_leaves_no_run_twice(
    server: Store, gate: Gate, study: Study, records: list[TrialRecord]
) -> None:
    recorder = Recorder(server)
    recorder.study_started(study)
    gate.breaks_off = 2
    play(recorder, records)
    finish(recorder, study)
    assert gate.breaks_off == 0
    assert recorder.failure is None
    assert statuses(server.client, study) == ENDED
