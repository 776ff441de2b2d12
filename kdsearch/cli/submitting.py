"""``kdsearch submit``: a study as a job on a Ray cluster."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from kdsearch.cli.program import RetryFailed, Sets, Spec, app, examples


@app.command(
    epilog=examples(
        "kdsearch submit search_spaces/cifar100.yaml --address http://127.0.0.1:8265 \\",
        "  --set study.directory=/shared/studies --set tracking.uri=http://mlflow:5000",
    )
)
def submit(
    spec: Spec,
    address: Annotated[str, typer.Option(help="Address of the cluster's job server.")],
    overrides: Sets = None,
    follow: Annotated[
        bool, typer.Option("--follow/--no-follow", help="Print the job's log until it ends.")
    ] = True,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with a study that was cut off or extended.")
    ] = False,
    retry_failed: RetryFailed = False,
) -> None:
    """Run a study as a job on a Ray cluster.

    Passwords do not travel with a job, since others can read it: the cluster's environment has
    them, for MLflow as MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, for S3 as
    AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.
    """
    from kdsearch.execution.connection.private_ray import check_home

    check_home()
    from kdsearch.cluster.submit import submit_study

    sys.exit(submit_study(spec, overrides or [], address, follow, resume, retry_failed))
