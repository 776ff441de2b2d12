"""A Ray cluster's job server, with errors that say what to do."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from kdsearch.environment import environment
from kdsearch.errors import ClusterError, MissingExtraError, UserError, one_line
from kdsearch.proxies import reach_this_machine_directly
from kdsearch.redaction import redacted_uri

ANSWER_SECONDS = 10.0
"""How long a job server may take for its first answer; Ray's own client would wait for ever."""

OVERRIDING = ("RAY_ADDRESS", "RAY_API_SERVER_ADDRESS")
"""Variables that Ray's client obeys above the address that it is given."""


class JobServer:
    """A connection to a job server.

    Args:
        address: Its HTTP address, such as ``http://127.0.0.1:8265``.

    Attributes:
        address: The same without a password.

    Raises:
        UserError: The address is not an HTTP address.
        MissingExtraError: The extra ``cluster`` is not installed.
        ClusterError: Nothing answers there, it is no job server, or it refuses our token.
    """

    def __init__(self, address: str) -> None:
        place = address.rstrip("/")
        self.address = redacted_uri(place)
        if urlsplit(address).scheme not in ("http", "https"):
            raise UserError(
                f"'{address}' is not the address of a job server; write it as http://HOST:PORT, "
                "such as http://127.0.0.1:8265"
            )
        client = _client_class()
        reach_this_machine_directly()
        self._knock(place)
        with self._explained(), environment(dict.fromkeys(OVERRIDING)):
            self._client = client(place)

    def submit(
        self, job: str, entrypoint: str, working_dir: Path, environment: Mapping[str, str]
    ) -> None:
        """Hand a job in under the identity ``job``.

        Raises:
            ClusterError: The server refuses it.
        """
        runtime_env: dict[str, Any] = {"working_dir": str(working_dir)}
        if environment:
            runtime_env["env_vars"] = dict(environment)
        with self._explained():
            self._client.submit_job(
                entrypoint=entrypoint, submission_id=job, runtime_env=runtime_env
            )

    def print_log(self, job: str) -> None:
        """Print the log as it grows, until the job ends.

        Raises:
            ClusterError: The connection is lost.
        """
        tail = (
            f"; a job goes on without the connection ({self.log_command(job)}); if it was cut off "
            "with the cluster, submit it again with --resume"
        )
        with self._explained(tail):
            asyncio.run(self._print_log(job))

    async def _print_log(self, job: str) -> None:
        async for text in self._client.tail_job_logs(job):
            print(text, end="", flush=True)

    def details(self, job: str) -> Any:
        """Ray's ``JobDetails``: status, message, exit code.

        Raises:
            ClusterError: The connection is lost.
        """
        with self._explained():
            return self._client.get_job_info(job)

    def log_command(self, job: str) -> str:
        """The command that shows the log of a job."""
        return f"ray job logs {job} --follow --address {self.address}"

    def stop_command(self, job: str) -> str:
        """The command that stops a job."""
        return f"ray job stop {job} --address {self.address}"

    def _knock(self, address: str) -> None:
        import requests

        try:
            requests.get(f"{address}/api/version", timeout=ANSWER_SECONDS)
        except requests.RequestException as error:
            raise ClusterError(
                f"no job server answers at {self.address} ({type(error).__name__}); check the "
                "address, and that `ray dashboard` forwards it or the cluster is up"
            ) from error

    @contextmanager
    def _explained(self, tail: str = "") -> Iterator[None]:
        """Turn what Ray's client raises into a ClusterError."""
        from aiohttp import ClientError
        from ray.exceptions import AuthenticationError

        try:
            yield
        except AuthenticationError as error:
            raise ClusterError(
                f"the job server at {self.address} does not accept the token of this shell; set "
                "RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN to what `ray get-auth-token` prints on "
                "the cluster's head"
            ) from error
        except (ClientError, OSError, RuntimeError, LookupError, ValueError) as error:
            reason = one_line(error)
            raise ClusterError(
                f"the job server at {self.address} failed ({reason}); check that the address is "
                f"that of a Ray cluster which is up{tail}"
            ) from error


def _client_class() -> Any:
    try:
        # Ray's own import succeeds without aiohttp, and its client then fails on use.
        import aiohttp  # noqa: F401
        from ray.job_submission import JobSubmissionClient
    except ImportError as error:
        raise MissingExtraError(
            f"submitting a job needs {error.name}; pip install 'kdsearch[cluster]'"
        ) from error
    for name in ("", ".dashboard.modules.dashboard_sdk", ".dashboard.modules.job.sdk"):
        logging.getLogger(f"ray{name}").setLevel(logging.ERROR)
    return JobSubmissionClient
