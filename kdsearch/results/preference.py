"""The order in which points of several objectives are preferred."""

from __future__ import annotations

from functools import lru_cache

import moocore
import numpy as np


def preference(points: np.ndarray, count: int | None = None) -> list[int]:
    """The order [N] in which points are preferred: by non-dominated rank, then well spread.

    The members of the front come in the order in which they add most to its hypervolume, those of
    the later ranks along an epsilon-net, so that small students survive beside accurate ones
    (Schmucker et al. 2021, "Multi-objective Asynchronous Successive Halving", section 4, which has
    the net for the front too).

    Args:
        points: [N, M], every objective to be made small.
        count: How many of the first are wanted at least; the others may be left out.
    """
    ranks = moocore.pareto_rank(points)
    scaled = _scaled(points)
    order: list[int] = []
    for rank in range(int(ranks.max()) + 1):
        if count is not None and len(order) >= count:
            break
        members = np.flatnonzero(ranks == rank)
        spread = epsilon_net if rank else most_volume_first
        order.extend(int(members[place]) for place in spread(scaled[members]))
    return order


REFERENCE = 1.1
"""Where the hypervolume of scaled points ends, so that those at the ends of a front have some."""


def most_volume_first(points: np.ndarray) -> list[int]:
    """An order [N] of points, each the one that adds most to the hypervolume of those before it.

    (Guerreiro, Fonseca & Paquete 2016, "Greedy Hypervolume Subset Selection in Low Dimensions",
    have bounds and faster ways; a front of a search is small.) ``points``: [N, M], from 0 to 1.
    """
    content = np.ascontiguousarray(points, dtype=float)
    return list(_most_volume_first(content.tobytes(), content.shape))


@lru_cache(maxsize=8)  # most trials that come to a rung leave its front as it was
def _most_volume_first(content: bytes, shape: tuple[int, int]) -> tuple[int, ...]:
    points, reference = np.frombuffer(content).reshape(shape), np.full(shape[1], REFERENCE)
    taken: list[int] = []
    left = list(range(len(points)))
    while left:
        volumes = [moocore.hypervolume(points[[*taken, place]], ref=reference) for place in left]
        taken.append(left.pop(int(np.argmax(volumes))))
    return tuple(taken)


def epsilon_net(points: np.ndarray) -> list[int]:
    """An order [N] of points of which every beginning covers them all well.

    The first is that of the smallest first objective; each next one is the farthest from those
    before it (Gonzalez 1985, "Clustering to minimize the maximum intercluster distance").
    ``points``: [N, M], on one scale.
    """
    taken = [int(np.argmin(points[:, 0]))]
    gaps = np.linalg.norm(points - points[taken[0]], axis=1)
    while len(taken) < len(points):
        gaps[taken] = -1.0
        taken.append(int(np.argmax(gaps)))
        gaps = np.minimum(gaps, np.linalg.norm(points - points[taken[-1]], axis=1))
    return taken


def neighbour_order(points: np.ndarray, neighbours: int) -> list[int]:
    """The order [N] by the share of the neighbours in size, none larger, that have a smaller loss.

    A larger student is expected to be better and tells nothing against a smaller one.

    Args:
        points: [N, M] loss and log sizes; the first size is the one that makes neighbours.
        neighbours: With how many of those that are no larger, the nearest in size, a point is
            compared.
    """
    by_size = np.argsort(-points[:, 1], kind="stable")
    others = points[by_size]
    no_larger = np.all(others[None, :, 1:] <= points[:, None, 1:], axis=2)
    no_larger[by_size, np.arange(len(points))] = False  # nobody is its own neighbour
    near = no_larger & (np.cumsum(no_larger, axis=1, dtype=np.int32) <= neighbours)
    better = near & (others[None, :, 0] < points[:, None, 0])
    beaten = better.sum(axis=1) / (near.sum(axis=1) + 1)
    return [int(place) for place in np.argsort(beaten, kind="stable")]


def _scaled(points: np.ndarray) -> np.ndarray:
    """Every objective from 0 to 1 over the points."""
    low, high = points.min(axis=0), points.max(axis=0)
    return (points - low) / np.where(high > low, high - low, 1.0)
