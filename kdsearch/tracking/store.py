"""The MLflow store of a study: found early, or refused early."""

from __future__ import annotations

import os
from dataclasses import dataclass

import mlflow
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from sqlalchemy.exc import SQLAlchemyError

from kdsearch.errors import StoreError
from kdsearch.spec.sections import TrackingSection


@dataclass(frozen=True)
class Store:
    """A reachable MLflow store.

    Attributes:
        uri: Tracking URI.
        client: A client of it.
        experiment_id: The experiment that holds the study.
    """

    uri: str
    client: MlflowClient
    experiment_id: str


def tracking_uri(tracking: TrackingSection) -> str:
    """The URI of the spec, else ``MLFLOW_TRACKING_URI``, else MLflow's own default."""
    return tracking.uri or mlflow.get_tracking_uri()


def open_store(tracking: TrackingSection) -> Store:
    """Reach the store and find, or make, the experiment.

    Raises:
        StoreError: The store cannot be reached, or refuses the experiment.
    """
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
    uri = tracking_uri(tracking)
    try:
        client = MlflowClient(uri)
        experiment = client.get_experiment_by_name(tracking.experiment)
        if experiment is None:
            return Store(uri, client, client.create_experiment(tracking.experiment))
    except (MlflowException, SQLAlchemyError, OSError) as error:
        reason = str(error).strip().splitlines()[0][:200]
        raise StoreError(
            f"the MLflow store at {uri} cannot be reached ({reason}); start its server, or set "
            "tracking.uri or MLFLOW_TRACKING_URI to another"
        ) from error
    if experiment.lifecycle_stage != "active":
        raise StoreError(
            f"the MLflow experiment '{tracking.experiment}' at {uri} is deleted; restore it, or "
            "set tracking.experiment to another name"
        )
    return Store(uri, client, experiment.experiment_id)
