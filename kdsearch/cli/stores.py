"""``kdsearch ui`` and ``sync``: a study in MLflow."""

from __future__ import annotations

from typing import Annotated

import typer

from kdsearch.cli.program import StudyFolder, app, examples


@app.command(epilog=examples("kdsearch ui studies/digits --port 5001"))
def ui(
    study: StudyFolder,
    port: Annotated[int, typer.Option(help="Port of the page.", min=1, max=65535)] = 5000,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
) -> None:
    """Open MLflow's UI on the study's store."""
    from kdsearch.results.folder import StudyFolder
    from kdsearch.tracking.ui.serving import serve_ui

    serve_ui(StudyFolder(study), host, port)


@app.command(
    epilog=examples(
        "kdsearch sync studies/digits",
        "kdsearch sync studies/digits --uri sqlite:///elsewhere.db",
    )
)
def sync(
    study: StudyFolder,
    uri: Annotated[
        str | None, typer.Option(help="MLflow tracking URI; default: the study's own store.")
    ] = None,
) -> None:
    """Make MLflow's copy of a study again from the study's own files."""
    from kdsearch.execution.connection.private_ray import check_home

    check_home()
    from kdsearch.api import sync_study

    print(f"{study} is complete in {sync_study(study, uri)}")
