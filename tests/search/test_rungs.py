"""Decisions at a rung, beside brute force over the definitions."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from kdsearch.search.rungs import (
    epsilon_net,
    goes_on,
    goes_on_among_neighbours,
    places,
    preference,
    rung_epochs,
)


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


def test_a_small_student_survives_beside_accurate_ones() -> None:
    """Halving on accuracy alone would stop it first."""
    accurate = np.array([[0.10 + 0.001 * i, 5.0 + 0.01 * i] for i in range(20)])
    small = np.array([0.40, 2.0])
    assert goes_on(small, accurate, reduction=3)
    assert not goes_on(np.array([0.41, 5.5]), accurate, reduction=3)


@pytest.mark.parametrize("reduction", [2, 3, 4])
@pytest.mark.parametrize("seed", range(3))
def test_the_best_share_goes_on(reduction: int, seed: int) -> None:
    points = np.random.default_rng(seed).random((24, 2))
    going = [goes_on(points[i], np.delete(points, i, axis=0), reduction) for i in range(24)]
    kept = preference(points)[: 24 // reduction]
    assert {i for i, on in enumerate(going) if on} == set(kept)


def test_the_first_of_a_rung_go_on() -> None:
    for count in range(2):
        assert goes_on(np.array([0.9, 9.0]), np.zeros((count, 2)), reduction=3)
        assert goes_on_among_neighbours(np.array([0.9, 9.0]), np.zeros((count, 2)), 3, 5)
    assert not goes_on(np.array([0.9, 9.0]), np.zeros((2, 2)), reduction=3)


@pytest.mark.parametrize("seed", range(5))
def test_neighbours_are_the_nearest_that_are_no_larger(seed: int) -> None:
    generator = np.random.default_rng(seed)
    others, own = generator.random((30, 2)), generator.random(2)
    no_larger = [point for point in others.tolist() if point[1] <= own[1]]
    near = sorted(no_larger, key=lambda point: own[1] - point[1])[:8]
    errors = sorted([point[0] for point in near] + [own[0]])
    expected = len(near) < 2 or errors.index(own[0]) < places(len(near) + 1, 3)
    assert goes_on_among_neighbours(own, others, reduction=3, neighbours=8) == expected


def test_the_smallest_goes_on_however_bad() -> None:
    others = np.array([[0.1, 5.0], [0.2, 4.0], [0.3, 3.0], [0.4, 2.5]])
    assert goes_on_among_neighbours(np.array([0.9, 2.0]), others, reduction=3, neighbours=8)
    assert not goes_on_among_neighbours(np.array([0.9, 6.0]), others, reduction=3, neighbours=8)


def test_with_several_sizes_a_neighbour_is_no_larger_in_any() -> None:
    others = np.array([[0.1, 1.0, 3.0]] * 5)
    assert goes_on_among_neighbours(np.array([0.9, 2.0, 2.0]), others, 3, 8)
    assert not goes_on_among_neighbours(np.array([0.9, 2.0, 3.0]), others, 3, 8)


def test_one_of_any_number_goes_on() -> None:
    assert [places(count, 3) for count in (1, 2, 3, 5, 6, 9)] == [1, 1, 1, 1, 2, 3]
