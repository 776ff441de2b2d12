"""A study handed in as a job: what is sent, and what comes of each end of the job."""

from __future__ import annotations

import io
import shlex
import zipfile
from pathlib import Path

import pytest

from kdsearch.cluster.job_server import JobServer
from kdsearch.cluster.submit import submit_study
from kdsearch.errors import ClusterError, SpecError
from tests.cluster.conftest import FakeJobServer


def test_the_job_runs_the_spec_that_it_brings(
    fake_server: FakeJobServer, spec_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    overrides = ["search.trials=3", "tracking.experiment=two words; $HOME 'quoted'"]
    assert submit_study(spec_file, overrides, fake_server.address, follow=False) == 0
    (job,) = fake_server.jobs
    (package,) = fake_server.packages
    assert zipfile.ZipFile(io.BytesIO(package)).read("tiny.yaml") == spec_file.read_bytes()
    assert shlex.split(job["entrypoint"]) == [
        *("python", "-m", "kdsearch.cli", "run", "./tiny.yaml"),
        *("--set", overrides[0], "--set", overrides[1]),
    ]
    assert job["submission_id"].startswith("tiny-")
    assert job["runtime_env"]["working_dir"].startswith("gcs://")
    printed = capsys.readouterr().out
    for line in ("job {}: submitted to {}", "ray job logs {} --follow --address {}"):
        assert line.format(job["submission_id"], fake_server.address) in printed
    assert f"ray job stop {job['submission_id']} --address {fake_server.address}" in printed


def test_two_submissions_are_two_jobs_and_resume_is_passed_on(
    fake_server: FakeJobServer, spec_file: Path
) -> None:
    submit_study(spec_file, [], fake_server.address, follow=False)
    options = {"resume": True, "retry_failed": True}
    submit_study(spec_file, [], fake_server.address, follow=False, **options)
    first, second = fake_server.jobs
    assert first["submission_id"] != second["submission_id"]
    assert "--resume" not in shlex.split(first["entrypoint"])
    assert shlex.split(second["entrypoint"])[-2:] == ["--resume", "--retry-failed"]


def test_the_shell_s_store_goes_with_the_job(
    fake_server: FakeJobServer, spec_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mlflow:5000")
    submit_study(spec_file, [], fake_server.address, follow=False)
    submit_study(spec_file, ["tracking.uri=null"], fake_server.address, follow=False)
    named, inherited = (job["runtime_env"]["env_vars"] for job in fake_server.jobs)
    assert "MLFLOW_TRACKING_URI" not in named
    assert inherited["MLFLOW_TRACKING_URI"] == "http://mlflow:5000"


@pytest.mark.parametrize("override", ["study.directory=here", "tracking.uri=sqlite:///x.db"])
def test_a_spec_that_would_lose_its_results_is_not_submitted(
    fake_server: FakeJobServer, spec_file: Path, override: str
) -> None:
    with pytest.raises(SpecError, match="vanish"):
        submit_study(spec_file, [override], fake_server.address, follow=True)
    assert fake_server.asked == []


LEFT, AGAIN = "(it left with code 2)", "; submit it again with --resume to go on"


@pytest.mark.parametrize(
    ("status", "message", "driver", "code", "told"),
    [
        ("SUCCEEDED", "Job finished successfully.", 0, 0, "succeeded\n"),
        ("FAILED", "it left with code 2, last available logs:\nx", 2, 1, f"failed {LEFT}\n"),
        ("FAILED", "it left with code 2", 1, 1, f"failed {LEFT}{AGAIN}\n"),
        ("FAILED", "it left with code 2", None, 1, f"failed {LEFT}{AGAIN}\n"),
        ("STOPPED", None, None, 1, f"stopped (no reason given){AGAIN}\n"),
    ],
)
def test_the_end_of_the_job_is_told_and_gives_the_exit_code(
    fake_server: FakeJobServer,
    spec_file: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    status: str,
    message: str | None,
    driver: int | None,
    code: int,
    told: str,
) -> None:
    monkeypatch.setattr(JobServer, "print_log", lambda self, job: None)
    fake_server.status, fake_server.message, fake_server.exit_code = status, message, driver
    assert submit_study(spec_file, [], fake_server.address, follow=True) == code
    assert f"job {fake_server.jobs[0]['submission_id']}: {told}" in capsys.readouterr().out


def test_a_log_that_ends_before_its_job_is_no_success(
    fake_server: FakeJobServer, spec_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(JobServer, "print_log", lambda self, job: None)
    fake_server.status = "RUNNING"
    with pytest.raises(ClusterError, match=r"broke off while the job goes on.*ray job logs"):
        submit_study(spec_file, [], fake_server.address, follow=True)


def test_an_interrupt_leaves_the_job_and_says_how_to_find_it(
    fake_server: FakeJobServer,
    spec_file: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def interrupted(self: JobServer, job: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(JobServer, "print_log", interrupted)
    with pytest.raises(KeyboardInterrupt):
        submit_study(spec_file, [], fake_server.address, follow=True)
    identity = fake_server.jobs[0]["submission_id"]
    told = capsys.readouterr().err
    assert f"job {identity} goes on" in told
    assert f"ray job logs {identity}" in told
    assert f"ray job stop {identity}" in told
    assert not any(path.endswith("/stop") for path in fake_server.asked)
