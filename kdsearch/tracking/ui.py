"""MLflow's own UI on a study's store."""

from __future__ import annotations

import os
import subprocess
import sys
import webbrowser

from kdsearch.errors import StudyError
from kdsearch.redaction import redacted_uri
from kdsearch.results.study import Study
from kdsearch.tracking.uri import study_uri


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
        print(f"{redacted_uri(uri).rstrip('/')}/{page}")
        webbrowser.open(f"{uri.rstrip('/')}/{page}")
        return 0
    print(f"http://{host}:{port}/{page}", flush=True)
    command = [sys.executable, "-m", "mlflow", "ui", "--host", host, "--port", str(port)]
    # not as an argument, which others can read
    variables = os.environ | {"MLFLOW_BACKEND_STORE_URI": uri}
    return subprocess.run(command, env=variables, check=False).returncode
