"""Which trials go on at a rung: successive halving over several objectives."""

from __future__ import annotations

import math
from collections.abc import Sequence

import moocore
import numpy as np


def rung_epochs(epochs: int, fractions: Sequence[float]) -> tuple[int, ...]:
    """The epochs of a training after which it is compared, never the last.

    Args:
        epochs: Epochs of the whole training.
        fractions: Shares of them, each in (0, 1).
    """
    marks = {max(1, round(epochs * fraction)) for fraction in fractions}
    return tuple(sorted(mark for mark in marks if mark < epochs))


def goes_on(own: np.ndarray, others: np.ndarray, reduction: float) -> bool:
    """Whether a point is among the best ``1 / reduction`` of those that have reached its rung.

    Points are ordered by non-dominated sorting and, within a front, along an epsilon-net, so that
    small students survive beside accurate ones (Schmucker et al. 2021, "Multi-objective
    Asynchronous Successive Halving", section 4).

    Args:
        own: [M] the point, every objective to be made small.
        others: [N, M] points that reached the rung before it. With fewer than ``reduction`` points
            in all nothing can be told, and the point goes on.
        reduction: The inverse of the share that goes on.
    """
    count = len(others) + 1
    if count < reduction:
        return True
    order = preference(np.vstack([others, own]))
    return count - 1 in order[: places(count, reduction)]


def goes_on_among_neighbours(
    own: np.ndarray, others: np.ndarray, reduction: float, neighbours: int
) -> bool:
    """Whether a point is among the best ``1 / reduction`` of the neighbours that are no larger.

    A larger student is expected to be better and tells nothing against a smaller one; the smallest
    always goes on.

    Args:
        own: [M] loss and log sizes; the first size is the one that makes neighbours.
        others: [N, M] points that reached the rung before it; as for :func:`goes_on`.
        reduction: The inverse of the share that goes on.
        neighbours: With how many of them, the nearest in size, its loss is compared.
    """
    rivals = others[np.all(others[:, 1:] <= own[1:], axis=1)] if len(others) else others
    if len(rivals) + 1 < reduction:
        return True
    nearest = np.argsort(own[1] - rivals[:, 1], kind="stable")[:neighbours]
    better = int(np.sum(rivals[nearest, 0] < own[0]))
    return better < places(len(nearest) + 1, reduction)


def places(count: int, reduction: float) -> int:
    """How many of ``count`` go on."""
    return max(1, math.floor(count / reduction))


def preference(points: np.ndarray) -> list[int]:
    """The order [N] in which points are preferred: by non-dominated rank, then well spread.

    Args:
        points: [N, M], every objective to be made small.
    """
    ranks = moocore.pareto_rank(points)
    scaled = _scaled(points)
    order: list[int] = []
    for rank in range(int(ranks.max()) + 1):
        members = np.flatnonzero(ranks == rank)
        order.extend(int(members[place]) for place in epsilon_net(scaled[members]))
    return order


def epsilon_net(points: np.ndarray) -> list[int]:
    """An order [N] of points of which every beginning covers them all well.

    The first is that of the smallest first objective; each next one is the farthest from those
    before it (Gonzalez 1985, "Clustering to minimize the maximum intercluster distance").

    Args:
        points: [N, M], on one scale.
    """
    taken = [int(np.argmin(points[:, 0]))]
    gaps = np.linalg.norm(points - points[taken[0]], axis=1)
    while len(taken) < len(points):
        gaps[taken] = -1.0
        taken.append(int(np.argmax(gaps)))
        gaps = np.minimum(gaps, np.linalg.norm(points - points[taken[-1]], axis=1))
    return taken


def _scaled(points: np.ndarray) -> np.ndarray:
    """Every objective from 0 to 1 over the points."""
    low, high = points.min(axis=0), points.max(axis=0)
    return (points - low) / np.where(high > low, high - low, 1.0)
