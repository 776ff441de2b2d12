"""``problem``: what is predicted, and how it is judged."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator

from kdsearch.spec.base import Section
from kdsearch.spec.values import each_once


class ProblemSection(Section):
    """``problem``: what is predicted, and how it is judged."""

    metrics: Annotated[tuple[str, ...], AfterValidator(each_once("metric"))] = ()
    """Metrics beside the usual ones: names, or ``module:name`` of a ``kdsearch.problems.Metric`` of
    your own."""
