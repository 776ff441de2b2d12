"""Run a study as a job on a Ray cluster."""

from __future__ import annotations

import os
import secrets
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from kdsearch.cluster.job_server import JobServer
from kdsearch.cluster.lasting import check_lasting, check_store
from kdsearch.cluster.readable import check_readable
from kdsearch.cluster.working_dir import fill_working_dir
from kdsearch.errors import ClusterError, UserError
from kdsearch.results.resume import check_retry
from kdsearch.spec.load import load_spec

STOP_SECONDS = 30
"""How long a job that is stopped may take to note down that it was; Ray's default is 3."""


def submit_study(
    spec: Path,
    overrides: Sequence[str],
    address: str,
    follow: bool,
    resume: bool = False,
    retry_failed: bool = False,
) -> int:
    """Submit a study through Ray Jobs.

    The job runs ``python -m kdsearch.cli run`` on the cluster's head, so kdsearch must be installed
    on every node, in the environment whose ``python`` comes first on the head's ``PATH``
    (``setup_commands`` of ``cluster.yaml`` see to that). With it travel the search-space file and
    the user's own modules beside it (see :func:`~kdsearch.cluster.working_dir.fill_working_dir`),
    not data sets. A study that needs credentials finds them in the cluster's environment, such as
    ``MLFLOW_TRACKING_USERNAME`` and ``MLFLOW_TRACKING_PASSWORD``, since what is sent with a job can
    be read on its dashboard; so a spec with a password in it is refused.

    A cluster that asks for a token gets the one that Ray finds here while ``RAY_AUTH_MODE`` is
    ``token``: ``RAY_AUTH_TOKEN``, the file at ``RAY_AUTH_TOKEN_PATH``, or ``~/.ray/auth_token``.

    Args:
        spec: The search-space file.
        overrides: Texts such as ``"search.trials=10"``.
        address: The job server, such as ``http://127.0.0.1:8265``.
        follow: Print the job's log until it ends.
        resume: Go on with a study that was cut off or extended.
        retry_failed: And train again what has failed.

    Returns:
        Exit code: 0 when the job succeeded, or was accepted and is not followed; else 1.

    Raises:
        UserError: The spec is wrong, holds a password, or relies on files that vanish with the
            job.
        ClusterError: The job server cannot be reached, refuses us, or is lost on the way.
        KeyboardInterrupt: Following was interrupted; the job goes on.
    """
    check_retry(resume, retry_failed)
    loaded = load_spec(spec, overrides)
    check_lasting(loaded)
    environment = check_store(loaded, os.environ.get("MLFLOW_TRACKING_URI"))
    check_readable(loaded, overrides, environment.get("MLFLOW_TRACKING_URI"))
    environment["RAY_JOB_STOP_WAIT_TIME_S"] = str(STOP_SECONDS)
    job = f"{loaded.study.name}-{secrets.token_hex(4)}"
    with TemporaryDirectory() as folder:
        file = fill_working_dir(loaded, spec, Path(folder))
        server = JobServer(address)
        flags = ["--resume"] * resume + ["--retry-failed"] * retry_failed
        server.submit(job, _entrypoint(file, overrides, flags), Path(folder), environment)
    print(f"job {job}: submitted to {server.address}", flush=True)
    if not follow:
        print(f"see its log: {server.log_command(job)}\nstop it: {server.stop_command(job)}")
        return 0
    return _follow(server, job)


def _entrypoint(file: Path, overrides: Sequence[str], flags: Sequence[str]) -> str:
    words = ["python", "-m", "kdsearch.cli", "run", f"./{file.as_posix()}"]
    for override in overrides:
        words += ["--set", override]
    return shlex.join([*words, *flags])


def _follow(server: JobServer, job: str) -> int:
    try:
        server.print_log(job)
        details = server.details(job)
    except KeyboardInterrupt:
        print(
            f"\njob {job} goes on; see it again: {server.log_command(job)}\n"
            f"stop it: {server.stop_command(job)}",
            file=sys.stderr,
        )
        raise
    if not details.status.is_terminal():
        raise ClusterError(
            f"the log of job {job} broke off while the job goes on; see it again: "
            f"{server.log_command(job)}"
        )
    status = str(details.status.value).lower()
    if status == "succeeded":
        print(f"job {job}: succeeded")
        return 0
    reason = (details.message or "no reason given").strip().splitlines()[0].partition(", last")[0]
    refused = details.driver_exit_code == UserError.exit_code
    advice = "" if refused else "; submit it again with --resume to go on"
    print(f"job {job}: {status} ({reason}){advice}")
    return 1
