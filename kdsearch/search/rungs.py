"""Which trials go on at a rung: successive halving over several objectives."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def rung_epochs(epochs: int, fractions: Sequence[float], forebears: int = 0) -> tuple[int, ...]:
    """The epochs of a training's reports after which it is compared, never the last.

    Args:
        epochs: Epochs of the student's own training.
        fractions: Shares of them, each in (0, 1).
        forebears: Epochs before those, of students that do not tell how good it will be.
    """
    marks = {max(1, round(epochs * fraction)) for fraction in fractions}
    return tuple(forebears + mark for mark in sorted(marks) if mark < epochs)


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
