"""MLflow's own UI on a study's store."""

from __future__ import annotations

import subprocess
import sys
import webbrowser

from kdsearch.errors import StudyError
from kdsearch.results.study import Study
from kdsearch.tracking.store import MASK, shown_uri, tracking_uri


def serve_ui(study: Study, host: str, port: int) -> int:
    """Serve MLflow's UI until it is interrupted, or open the server that has the study.

    Returns:
        The exit code of the server.

    Raises:
        StudyError: The study has no record in MLflow, or the password of its store is not known.
    """
    known = study.state.get("mlflow")
    if known is None:
        raise StudyError(
            f"the study in {study.directory.path} has no record in MLflow; make it by "
            f"kdsearch sync {study.directory.path}"
        )
    uri = study_uri(study)
    page = f"#/experiments/{known['experiment_id']}/runs/{known['run_id']}"
    if uri.startswith("http"):
        print(f"{shown_uri(uri).rstrip('/')}/{page}")
        webbrowser.open(f"{uri.rstrip('/')}/{page}")
        return 0
    print(f"http://{host}:{port}/{page}", flush=True)
    command = [sys.executable, "-m", "mlflow", "ui", "--backend-store-uri", uri]
    return subprocess.run([*command, "--host", host, "--port", str(port)], check=False).returncode


def study_uri(study: Study) -> str:
    """The URI of the store that has the study, with the password that the study does not keep.

    Raises:
        StudyError: The password is not known.
    """
    current = tracking_uri(study.spec.tracking)
    shown = (study.state.get("mlflow") or {}).get("uri", shown_uri(current))
    if shown_uri(current) == shown:
        return current
    if MASK in shown:
        raise StudyError(
            f"the password of the MLflow store at {shown} is not kept with the study; set "
            "MLFLOW_TRACKING_URI to the URI with the password in it"
        )
    return shown
