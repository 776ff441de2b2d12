"""The study made by hand, whose trainings are made up."""

from __future__ import annotations

from tests.tracking.conftest import records, study

__all__ = ["records", "study"]
