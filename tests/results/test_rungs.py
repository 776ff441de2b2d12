"""Decisions at a rung, beside brute force over the definitions."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations

import numpy as np
import pytest

from kdsearch.results.preference import (
    epsilon_net,
    most_volume_first,
    neighbour_order,
    preference,
)
from kdsearch.results.sweep import rung_epochs


@pytest.mark.parametrize(
    ("epochs", "marks"),
    [(27, (3, 9)), (36, (4, 12)), (9, (1, 3)), (4, (1,)), (2, (1,)), (1, ())],
)
def test_rungs_lie_at_whole_epochs_before_the_last(epochs: int, marks: tuple[int, ...]) -> None:
    assert rung_epochs(epochs, (1 / 9, 1 / 3)) == marks


def dominates(one: np.ndarray, other: np.ndarray) -> bool:
    return bool(np.all(one <= other) and np.any(one < other))


def brute_ranks(points: np.ndarray) -> list[int]:
    """Peel off one front after the other."""
    ranks, left, rank = [0] * len(points), set(range(len(points))), 0
    while left:
        front = {i for i in left if not any(dominates(points[j], points[i]) for j in left)}
        for i in front:
            ranks[i] = rank
        left -= front
        rank += 1
    return ranks


@pytest.mark.parametrize("objectives", [2, 3])
@pytest.mark.parametrize("seed", range(5))
def test_points_are_preferred_front_by_front(objectives: int, seed: int) -> None:
    points = np.random.default_rng(seed).integers(0, 8, (40, objectives)).astype(float)
    order, ranks = preference(points), brute_ranks(points)
    assert sorted(order) == list(range(40))
    ordered = [ranks[place] for place in order]
    assert ordered == sorted(ordered)
    for count in (0, 1, 13, 40):
        assert preference(points, count)[:count] == order[:count]


def radius(points: np.ndarray, chosen: list[int]) -> float:
    """The largest distance of a point to the nearest of those that were chosen."""
    gaps = np.linalg.norm(points[:, None] - points[chosen][None], axis=2)
    return float(gaps.min(axis=1).max())


@pytest.mark.parametrize("seed", range(5))
def test_every_beginning_of_the_net_covers_at_most_twice_as_badly_as_the_best(seed: int) -> None:
    """Gonzalez' bound, against all choices of as many points."""
    points = np.random.default_rng(seed).random((9, 2))
    order = epsilon_net(points)
    assert sorted(order) == list(range(9))
    assert order[0] == points[:, 0].argmin()
    for count in range(1, 9):
        best = min(radius(points, list(chosen)) for chosen in combinations(range(9), count))
        assert radius(points, order[:count]) <= 2 * best + 1e-12


@pytest.mark.parametrize("objectives", [2, 3])
def test_each_next_member_of_a_front_adds_the_most_volume(objectives: int) -> None:
    """Volumes by counting the cells of a grid that are dominated."""
    generator = np.random.default_rng(objectives)
    points = generator.integers(0, 11, (7, objectives)) / 10
    cells = np.stack(np.meshgrid(*[np.arange(11) / 10 + 0.05] * objectives), -1)
    cells = cells.reshape(-1, objectives)

    def volume(chosen: list[int]) -> int:
        return sum(any(np.all(points[place] <= cell) for place in chosen) for cell in cells)

    order = most_volume_first(points)
    assert sorted(order) == list(range(7))
    for count in range(7):
        best = max(volume([*order[:count], place]) for place in range(7))
        assert volume(order[: count + 1]) == best


def test_a_small_student_survives_beside_accurate_ones() -> None:
    """By accuracy alone it would be the last."""
    accurate = [[0.10 + 0.001 * i, 5.0 + 0.01 * i] for i in range(20)]
    small, bad = [0.40, 2.0], [0.41, 5.5]
    order = preference(np.array([*accurate, small, bad]))
    assert order.index(20) < 22 // 3
    assert order[-1] == 21


def beaten_by(points: np.ndarray, place: int, neighbours: int) -> float:
    """The share, one after the other."""
    own = points[place]
    others = [point for other, point in enumerate(points) if other != place]
    no_larger = [point for point in others if np.all(point[1:] <= own[1:])]
    near = sorted(no_larger, key=lambda point: own[1] - point[1])[:neighbours]
    return sum(point[0] < own[0] for point in near) / (len(near) + 1)


@pytest.mark.parametrize("sizes", [1, 2])
@pytest.mark.parametrize("seed", range(5))
def test_neighbours_are_the_nearest_that_are_no_larger(sizes: int, seed: int) -> None:
    """Sizes are rounded, so that some are equal."""
    points = np.round(np.random.default_rng(seed).random((40, 1 + sizes)), 1 + seed % 2)
    shares = [beaten_by(points, place, 8) for place in range(40)]
    order = neighbour_order(points, 8)
    assert order == sorted(range(40), key=lambda place: shares[place])


def test_the_smallest_is_among_the_first_however_bad() -> None:
    points = np.array([[0.1, 5.0], [0.2, 4.0], [0.3, 3.0], [0.4, 2.5], [0.9, 2.0], [0.9, 6.0]])
    order = neighbour_order(points, 8)
    assert order[-1] == 5
    assert 4 in order[:-1]


@pytest.mark.parametrize("order", [preference, lambda points: neighbour_order(points, 8)])
def test_one_point_is_an_order(order: Callable[[np.ndarray], list[int]]) -> None:
    assert order(np.array([[0.5, 2.0]])) == [0]
