"""A stand-in for Ray's job server that speaks its HTTP and nothing more."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
import ray

SPEC = """\
study: {{name: tiny, directory: {directory}/studies}}
data: {{source: digits}}
teacher:
  model: {{family: convnet}}
students:
  - {{family: mlp}}
methods: [kd]
tracking: {{uri: "sqlite:///{directory}/mlflow.db"}}
"""


class FakeJobServer(ThreadingHTTPServer):
    """Takes packages and jobs, and answers with the status that a test sets.

    Attributes:
        status: Status of every job.
        exit_code: What every job's driver left with.
        refusal: HTTP code with which everything is refused, if set.
        jobs: The JSON of each submitted job.
        packages: The uploaded zip files.
        asked: Every request's method and path.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.status = "SUCCEEDED"
        self.message = "Job finished successfully."
        self.exit_code: int | None = 0
        self.refusal: int | None = None
        self.jobs: list[dict] = []
        self.packages: list[bytes] = []
        self.asked: list[str] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: FakeJobServer

    def do_GET(self) -> None:
        self._asked()
        if self.server.refusal:
            self._answer(self.server.refusal, "refused")
        elif self.path == "/api/version":
            self._answer(200, {"ray_version": ray.__version__, "version": "4"})
        elif self.path.startswith("/api/jobs/") and not self.path.endswith("/tail"):
            self._answer(
                200,
                {
                    "type": "SUBMISSION",
                    "entrypoint": "",
                    "status": self.server.status,
                    "message": self.server.message,
                    "driver_exit_code": self.server.exit_code,
                },
            )
        else:
            self._answer(404, "not here")

    def do_PUT(self) -> None:
        self._asked()
        self.server.packages.append(self._body())
        self._answer(200, {})

    def do_POST(self) -> None:
        self._asked()
        job = json.loads(self._body())
        self.server.jobs.append(job)
        self._answer(200, {"job_id": job["submission_id"], "submission_id": job["submission_id"]})

    def _asked(self) -> None:
        self.server.asked.append(f"{self.command} {self.path}")

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers["Content-Length"]))

    def _answer(self, code: int, content: object) -> None:
        body = json.dumps(content).encode()
        self.send_response(code)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


@pytest.fixture
def fake_server() -> Iterator[FakeJobServer]:
    server = FakeJobServer()
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(autouse=True)
def no_surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Variables of the shell that would change what a submission does."""
    for name in ("RAY_ADDRESS", "RAY_API_SERVER_ADDRESS", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def spec_file(tmp_path: Path) -> Path:
    """A sound spec, alone in a folder that is not the current one."""
    folder = tmp_path / "specs"
    folder.mkdir()
    file = folder / "tiny.yaml"
    file.write_text(SPEC.format(directory=tmp_path))
    return file
