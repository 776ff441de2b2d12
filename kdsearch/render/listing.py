"""Studies as a list."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from kdsearch.render.columns import Column, Layout, fitted
from kdsearch.report.listing import Listed


def listing_view(studies: Sequence[Listed], width: int | None) -> Layout:
    """A row a study."""
    return fitted(
        [
            Column("study", [each.name for each in studies], right=False, least=12),
            Column("state", [each.state for each in studies], right=False),
            Column("trials", [_trials(each) for each in studies], 1),
            Column("finalists", [str(each.finalists or "") for each in studies], 3),
            Column("best on test", [each.best.get("score", "") for each in studies], 2, False),
            Column("of", [each.best.get("size", "") for each in studies], 4),
            Column("changed", [_when(each.changed) for each in studies], 5, False),
        ],
        width,
    )


def fault_lines(studies: Sequence[Listed]) -> list[str]:
    """What is wrong with those that cannot be read."""
    return [f"{each.name}: {each.fault}" for each in studies if each.fault]


def _trials(study: Listed) -> str:
    """Complete trials, and how many there are in all where some are not."""
    every, complete = sum(study.trials.values()), study.trials.get("complete", 0)
    return f"{complete} of {every}" if every > complete else str(complete or "")


def _when(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds):%Y-%m-%d %H:%M}"
