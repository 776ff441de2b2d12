"""The Pareto front of accuracy against size."""

from __future__ import annotations

from collections.abc import Sequence

import moocore
import numpy as np

from kdsearch.search.record import TrialRecord


def pareto_front(records: Sequence[TrialRecord], size: str) -> list[TrialRecord]:
    """The complete trials that no other beats in both accuracy and size, small to large.

    Of trials equal in both, the first proposed counts.

    Args:
        records: Trials; those without an accuracy are left out.
        size: ``"parameters"``, ``"macs"`` or ``"bytes"``.
    """
    ordered = sorted(records, key=lambda record: record.number)
    scored = [record for record in ordered if record.accuracy is not None]
    if not scored:
        return []
    mask = moocore.is_nondominated(_points(scored, size), keep_weakly=False)
    members = [record for record, on_front in zip(scored, mask, strict=True) if on_front]
    return sorted(members, key=lambda record: record.size(size))


def hypervolume(records: Sequence[TrialRecord], size: str, largest: int) -> float:
    """Share of the square of error × relative log size that the complete trials dominate.

    One axis is the validation error in [0, 1]; the other is log(size) / log(``largest``), so that
    halving the size counts the same at every size. The reference point is an error of 1 at
    ``largest``, the teacher's size; trials beyond it add nothing. Higher is better, 1 is the limit.
    """
    scored = [record for record in records if record.accuracy is not None]
    if not scored or largest <= 1:
        return 0.0
    points = _points(scored, size)
    points[:, 1] = np.log(points[:, 1]) / np.log(largest)
    return float(moocore.hypervolume(points, ref=[1.0, 1.0]))


def spread(members: Sequence[TrialRecord], count: int, size: str) -> list[TrialRecord]:
    """At most ``count`` members, both ends included, evenly spaced in log size."""
    if len(members) <= count:
        return list(members)
    if count == 1:
        return [members[-1]]
    logs = np.log([member.size(size) for member in members])
    chosen: list[int] = []
    for target in np.linspace(logs[0], logs[-1], count):
        free = [index for index in range(len(members)) if index not in chosen]
        chosen.append(min(free, key=lambda index: abs(logs[index] - target)))
    return [members[index] for index in sorted(chosen)]


def _points(records: Sequence[TrialRecord], size: str) -> np.ndarray:
    """[N, 2] error and size, both to be made small."""
    return np.array(
        [[1.0 - (record.accuracy or 0.0), float(record.size(size))] for record in records]
    )
