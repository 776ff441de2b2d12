"""Why a study has no front."""

from __future__ import annotations

from collections.abc import Sequence

from kdsearch.problems import find_metric
from kdsearch.results.objectives import Objectives
from kdsearch.results.record import TrialRecord


def no_front(records: Sequence[TrialRecord], objectives: Objectives) -> str:
    """Why a study has no front, and what to do."""
    complete = [each for each in records if each.complete]
    if complete:
        return _missed(complete, objectives)
    reasons = sorted({record.reason for record in records if record.reason})
    return (
        f"none of the {len(records)} trials ended well, so there is no front; the first "
        f"reason was: {reasons[0] if reasons else 'no trial ran to its end'}"
    )


def _missed(complete: Sequence[TrialRecord], objectives: Objectives) -> str:
    """Which bound no trial keeps, and how near the nearest comes; else that none keeps all."""
    for name, bound in objectives.require.items():
        metric = find_metric(name)
        nearest = min(complete, key=lambda each: metric.enough(each.scores[name], bound))
        reached = nearest.scores[name]
        if metric.enough(reached, bound) > 0:
            side = "below" if metric.better == "higher" else "above"
            return (
                f"the best of {len(complete)} complete trials reaches a validation {metric.title} "
                f"of {metric.told(reached)}, {side} search.require.{name} "
                f"({metric.told(bound)}), so there is no front; relax it, or allow larger "
                "students or longer trainings"
            )
    return (
        f"none of {len(complete)} complete trials keeps all bounds of search.require, so there is "
        "no front; relax one, or allow larger students or longer trainings"
    )
