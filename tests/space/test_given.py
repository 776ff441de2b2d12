"""Draws near known values: within the range, on its scale and steps, nothing that is not known."""

from __future__ import annotations

import math

import numpy as np

from kdsearch.space.given import Near


def near(known: dict, seed: int, spread: float = 0.15) -> Near:
    return Near(known, np.random.default_rng(seed), spread)


def test_numbers_spread_by_a_share_of_the_range_on_its_scale() -> None:
    drawn = [near({"lr": 0.01}, s).suggest_float("lr", 1e-4, 1, log=True) for s in range(2_000)]
    logs = np.log10(drawn)
    assert abs(logs.mean() + 2) < 0.05
    assert abs(logs.std() - 0.15 * 4) < 0.03
    even = [near({"x": 5.0}, s).suggest_float("x", 0, 10) for s in range(2_000)]
    assert abs(np.mean(even) - 5) < 0.1
    assert abs(np.std(even) - 1.5) < 0.1


def test_values_stay_in_the_range_and_on_its_steps() -> None:
    for seed in range(300):
        value = near({"x": 0.7}, seed, 0.5).suggest_float("x", 0.1, 1.0, step=0.3)
        assert min(abs(value - each) for each in (0.1, 0.4, 0.7, 1.0)) < 1e-9
        whole = near({"n": 7}, seed, 0.5).suggest_int("n", 1, 7, step=2)
        assert whole in (1, 3, 5, 7)
        edge = near({"lr": 1.0}, seed).suggest_float("lr", 1e-4, 1, log=True)
        assert 1e-4 <= edge <= 1


def test_what_is_not_known_is_left_open() -> None:
    draws = near({"method": "kd", "lr": 0.1}, 0)
    assert draws.suggest_categorical("method", ["none", "kd"]) == "kd"
    assert draws.suggest_categorical("student", ["a", "b"]) == "a"
    assert draws.suggest_int("depth", 1, 3) == 1
    lr = draws.suggest_float("lr", 0.01, 1, log=True)
    assert draws.kept == {"method": "kd", "lr": lr}
    assert not math.isclose(lr, 0.1)
    other = near({"method": "gone"}, 0)
    assert other.suggest_categorical("method", ["none", "kd"]) == "none"
    assert other.kept == {}
