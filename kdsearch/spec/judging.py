"""``problem``: what is predicted, and how it is judged."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator

from kdsearch.spec.base import Section


def _each_once(names: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(names)) < len(names):
        raise ValueError("give each metric once")
    return names


class ProblemSection(Section):
    """``problem``: what is predicted, and how it is judged."""

    metrics: Annotated[tuple[str, ...], AfterValidator(_each_once)] = ()
    """Metrics beside the usual ones: names, or ``module:name`` of a ``kdsearch.problems.Metric`` of
    your own."""
