"""MLflow's own UI, opened on a study."""

from __future__ import annotations

import socket
import webbrowser

from kdsearch.errors import StudyError, UserError
from kdsearch.redaction import redacted_uri
from kdsearch.results.folder import StudyFolder
from kdsearch.tracking.ui.process import UiProcess
from kdsearch.tracking.uri import sqlite_file, unmasked

_ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}
"""What listens on every address, and where this machine finds it."""


def serve_ui(study: StudyFolder, host: str, port: int) -> None:
    """Serve MLflow's UI until it is interrupted, or open the server that has the study.

    The page's address is printed once the server answers.

    Raises:
        StudyError: The study has no record in MLflow, or the password of its store is not known.
        UserError: Nothing can listen there.
        RunError: The server has ended.
    """
    known = study.state().get("mlflow")
    folder = study.path.absolute()
    again = f"kdsearch sync {folder}"
    if known is None:
        raise StudyError(f"the study in {folder} has no record in MLflow; make it by {again}")
    uri = unmasked(known["uri"])
    # the address, not MLflow's own memory, says that these are trainings and no chats
    page = f"#/experiments/{known['experiment_id']}/runs/{known['run_id']}"
    page += "?workflowType=machine_learning"
    if uri.startswith("http"):
        print(f"{redacted_uri(uri).rstrip('/')}/{page}", flush=True)
        webbrowser.open(f"{uri.rstrip('/')}/{page}")
        return
    file = sqlite_file(uri)
    if file is not None and not file.is_file():
        raise StudyError(f"{file}, which had the study's record, is gone; make it again by {again}")
    _check_free(host, port)
    with UiProcess(uri, host, port, f"http://{_in_address(host)}:{port}") as process:
        process.wait_for_answer()
        print(f"{process.address}/{page}", flush=True)
        process.wait_for_end()


def _in_address(host: str) -> str:
    """A host as this machine's browser is told of it."""
    host = _ANYWHERE.get(host, host)
    return f"[{host}]" if ":" in host else host


def _check_free(host: str, port: int) -> None:
    """Refuse what cannot be listened on before MLflow is loaded, which takes seconds."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        socket.create_server((host, port), family=family).close()
    except OSError as error:
        raise UserError(
            f"nothing can listen on {host}, port {port} ({error.strerror or error}); "
            "give another by --port or --host"
        ) from error
