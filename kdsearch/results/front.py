"""The Pareto front of a score against size."""

from __future__ import annotations

from collections.abc import Sequence

import moocore
import numpy as np

from kdsearch.results.objectives import Objectives
from kdsearch.results.record import TrialRecord


def pareto_front(records: Sequence[TrialRecord], objectives: Objectives) -> list[TrialRecord]:
    """The complete trials that no other beats in every score and size, small to large.

    Of trials equal in all, the first proposed counts.
    """
    counted = objectives.counted(sorted(records, key=lambda record: record.number))
    if not counted:
        return []
    mask = moocore.is_nondominated(objectives.costs(counted), keep_weakly=False)
    members = [record for record, on_front in zip(counted, mask, strict=True) if on_front]
    return sorted(members, key=lambda record: record.size(objectives.size))


def near_front(
    records: Sequence[TrialRecord],
    members: Sequence[TrialRecord],
    objectives: Objectives,
    samples: int,
) -> list[TrialRecord]:
    """The trials that another draw of the validation samples might have put on the front.

    A trial is near if the best member that is no larger, nor worse by another score of several, is
    ahead of it by at most one standard error of that member's score over so many validation
    samples. The nearest come first.
    """
    if not members:
        return []
    front, known = objectives.costs(members), {member.number for member in members}
    errors = [objectives.error(member, samples) for member in members]
    gaps: list[tuple[float, int, TrialRecord]] = []
    for record in objectives.counted(records):
        cost = objectives.costs([record])[0]
        rivals = np.flatnonzero(np.all(front[:, 1:] <= cost[1:], axis=1))
        best = min(rivals, key=lambda place: front[place, 0])
        gap, error = cost[0] - front[best, 0], errors[best]
        if record.number not in known and error is not None and gap <= error:
            gaps.append((gap, record.number, record))
    return [record for *_, record in sorted(gaps)]


def hypervolume(
    records: Sequence[TrialRecord], objectives: Objectives, largest: Sequence[float]
) -> float:
    """Share of the box of losses × relative log sizes that the complete trials dominate.

    The axis of a loss runs from 0 to the worst that counts, 1 for a share. The others are log(size)
    / log(``largest``), so that halving a size counts the same at every size. The reference point is
    those worst losses at ``largest``, the teacher's sizes in the objectives' order; trials beyond
    it add nothing. Higher is better, 1 is the limit.
    """
    counted = objectives.counted(records)
    if not counted or min(largest) <= 1:
        return 0.0
    points = objectives.costs(counted)
    points /= [objectives.worst, *np.log10(largest), *objectives.more.values()]
    return float(moocore.hypervolume(points, ref=[1.0] * points.shape[1]))


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
