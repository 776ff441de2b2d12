"""The hypervolume of the front against the compute that the search has spent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kdsearch.results.front import hypervolume, pareto_front
from kdsearch.results.objectives import Objectives
from kdsearch.results.record import TrialRecord


def progress(
    lines: Sequence[TrialRecord], objectives: Objectives, largest: Sequence[float]
) -> list[dict[str, Any]]:
    """The hypervolume after each complete trial, and what all trials had spent by then.

    Args:
        lines: What the journal of the search holds, in order; epochs of trials that are paused,
            stopped or failed count as spent as soon as it tells of them.
        objectives: What the search weighs.
        largest: The teacher's sizes, the reference of the hypervolume.

    Returns:
        ``trials`` (complete ones), ``epochs`` and ``seconds`` (of training, over all workers) and
        ``hypervolume`` in [0, 1], in the order of the trials' ends.
    """
    epochs: dict[int, int] = {}
    seconds: dict[int, float] = {}
    front: list[TrialRecord] = []
    found: list[dict[str, Any]] = []
    for record in _once_complete(lines):
        epochs[record.number] = len(record.epochs)
        seconds[record.number] = record.seconds
        if record.complete:
            front = pareto_front([*front, record], objectives)
            found.append(
                {
                    "trials": len(found) + 1,
                    "epochs": sum(epochs.values()),
                    "seconds": sum(seconds.values()),
                    "hypervolume": hypervolume(front, objectives, largest),
                }
            )
    return found


def _once_complete(lines: Sequence[TrialRecord]) -> list[TrialRecord]:
    """The lines without those that come after a trial's complete one, which count for nothing."""
    complete: set[int] = set()
    kept = []
    for record in lines:
        if record.number not in complete:
            kept.append(record)
        if record.complete:
            complete.add(record.number)
    return kept
