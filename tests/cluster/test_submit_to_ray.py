"""Studies as jobs of a real Ray, started for these tests with a token of its own."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from mlflow import MlflowClient

from tests.empty_database import put_database
from tests.servers import first_answer, free_ports

pytestmark = pytest.mark.slow

SPEC = """\
study: {{name: tiny, directory: {folder}/studies}}
data: {{source: digits, limit: 200}}
teacher:
  model: {{family: convnet, width: 0.25}}
  training: {{epochs: 1}}
students:
  - {{family: "nets:build", width: {{choices: [1, 2]}}}}
methods: [kd]
training: {{epochs: 1}}
search: {{trials: 2, sampler: random}}
finalists: {{seeds: 2, max: 1}}
resources: {{concurrent: 1}}
tracking: {{uri: "sqlite:///{folder}/mlflow.db"}}
"""

NETS = """\
from torch import nn


def build(image_shape, classes, width):
    channels, height, columns = image_shape
    hidden = int(4 * width)
    return nn.Sequential(
        nn.Flatten(), nn.Linear(channels * height * columns, hidden), nn.ReLU(),
        nn.Linear(hidden, classes),
    )
"""


@dataclass(frozen=True)
class Cluster:
    """A running head: the address of its job server, and the environment that it accepts."""

    address: str
    environment: dict[str, str]

    def submit(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return submit(self.address, *words, **(self.environment | environment))


def submit(address: str, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "kdsearch.cli", "submit", *words, "--address", address]
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=900, check=False
    )


@pytest.fixture(scope="module")
def cluster(short_folder: Path) -> Iterator[Cluster]:
    environment = {name: value for name, value in os.environ.items() if name[:4] != "RAY_"}
    environment.pop("MLFLOW_TRACKING_URI", None)
    environment |= {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(16),
        "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "0",
        "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.2",
        "RAY_worker_niceness": "0",  # else its workers starve behind the tests beside these
        "TMPDIR": str(short_folder),
        # the `python` of a job is the first on the head's PATH
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    dashboard, client = free_ports(2)
    head = subprocess.Popen(
        [
            *(sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block"),
            *("--port=0", "--min-worker-port=0", "--max-worker-port=0"),
            *(f"--dashboard-port={dashboard}", "--dashboard-host=127.0.0.1"),
            *(f"--ray-client-server-port={client}", "--dashboard-agent-listen-port=0"),
            *("--num-cpus=2", "--num-gpus=0", "--disable-usage-stats"),
            f"--temp-dir={short_folder}",
        ],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    address = f"http://127.0.0.1:{dashboard}"
    try:
        assert first_answer(f"{address}/api/version", head) == 401, "it must ask for the token"
        yield Cluster(address, environment)
    finally:
        head.terminate()
        try:
            head.wait(timeout=120)
        except subprocess.TimeoutExpired:
            head.kill()


@pytest.fixture
def spec_file(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "nets.py").write_text(NETS)
    file = folder / "tiny.yaml"
    file.write_text(SPEC.format(folder=tmp_path))
    put_database(tmp_path)
    return file


def test_a_study_runs_as_a_job_and_leaves_its_results(
    cluster: Cluster, spec_file: Path, tmp_path: Path
) -> None:
    ended = cluster.submit(str(spec_file))
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert ended.stderr == ""
    first, *_, last = ended.stdout.splitlines()
    job = first.split()[1].removesuffix(":")
    assert first == f"job {job}: submitted to {cluster.address}"
    assert last == f"job {job}: succeeded"
    assert "search: 2 trainings" in ended.stdout

    state = json.loads((tmp_path / "studies/tiny/study.json").read_text())
    assert state["state"] == "finished"
    client = MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    parent = client.get_run(state["mlflow"]["run_id"])
    assert parent.info.status == "FINISHED"
    kept = Path(parent.info.artifact_uri.removeprefix("file://"))
    assert kept.is_relative_to(tmp_path)
    assert {"spec.yaml", "front.csv"} <= {path.name for path in kept.iterdir()}
    assert driver_of(cluster, job), "the study must have run on the Ray that took the job"


def driver_of(cluster: Cluster, job: str) -> dict | None:
    """What the job's own Ray knows of the driver that the job connected to it."""
    request = urllib.request.Request(
        f"{cluster.address}/api/jobs/{job}",
        headers={"Authorization": f"Bearer {cluster.environment['RAY_AUTH_TOKEN']}"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)["driver_info"]


def test_a_job_that_fails_gives_its_reason_and_exit_code_1(
    cluster: Cluster, spec_file: Path, tmp_path: Path
) -> None:
    ended = cluster.submit(str(spec_file), "--set", "data.source=absent:load")
    assert ended.returncode == 1
    assert "names the module 'absent'" in ended.stdout
    assert ended.stdout.splitlines()[-1].endswith("failed with exit code 2)")
    assert not (tmp_path / "studies").exists()


@pytest.mark.parametrize("change", [{"RAY_AUTH_MODE": "disabled"}, {"RAY_AUTH_TOKEN": "wrong"}])
def test_a_shell_without_the_token_is_told_how_to_give_it(
    cluster: Cluster, spec_file: Path, change: dict[str, str]
) -> None:
    ended = cluster.submit(str(spec_file), **change)
    assert ended.returncode == 1
    assert ended.stdout == ""
    (line,) = ended.stderr.splitlines()
    assert line.startswith("kdsearch: the job server at")
    assert "set RAY_AUTH_MODE=token" in line


def test_nobody_at_the_address_is_told(spec_file: Path) -> None:
    (port,) = free_ports(1)
    ended = submit(f"http://127.0.0.1:{port}", str(spec_file), **os.environ)
    assert ended.returncode == 1
    (line,) = ended.stderr.splitlines()
    assert line.startswith(f"kdsearch: no job server answers at http://127.0.0.1:{port}")


def test_a_relative_directory_is_a_usage_error(spec_file: Path) -> None:
    ended = submit(
        "http://127.0.0.1:1", str(spec_file), "--set", "study.directory=here", **os.environ
    )
    assert ended.returncode == 2
    (line,) = ended.stderr.splitlines()
    assert "study.directory is relative (here)" in line
