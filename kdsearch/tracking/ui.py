"""MLflow's own UI on a study's store."""

from __future__ import annotations

import subprocess
import sys
import webbrowser

from kdsearch.errors import StudyError
from kdsearch.results.study import Study
from kdsearch.tracking.uri import shown_uri, study_uri


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
