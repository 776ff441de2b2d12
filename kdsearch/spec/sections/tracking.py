"""``tracking``."""

from __future__ import annotations

from pydantic import Field

from kdsearch.spec.base import Section


class TrackingSection(Section):
    """``tracking``: the MLflow store."""

    uri: str | None = None
    """MLflow tracking URI. Absent: ``MLFLOW_TRACKING_URI``, else MLflow's own default."""
    experiment: str = Field(default="kdsearch", min_length=1)
    """MLflow experiment in which the study's runs are kept."""
