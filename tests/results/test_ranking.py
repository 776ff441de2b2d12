"""The ranking of methods against enumerations of every subset and of every draw."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations, pairwise, product

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kdsearch.results.expected import MIN_TRIALS
from kdsearch.results.front import hypervolume
from kdsearch.results.objectives import Objectives
from kdsearch.results.ranking import COLUMNS, method_ranking
from kdsearch.results.record import TrialRecord
from kdsearch.spec import MethodConfig
from tests.records import trial

LARGEST = 100
KD = [(0.9, 80), (0.55, 10), (0.7, 40), (0.8, 55), (0.3, 5), (0.95, 300)]
NONE = [(0.6, 20), (0.85, 90), (0.5, 15), (0.75, 60)]
DKD = [(0.95, 12), (0.94, 11), (0.96, 13), (0.95, 12)]
SCORES = list(COLUMNS[5:-1])

points = st.lists(
    st.tuples(st.sampled_from([0.0, 0.2, 0.5, 0.9, 1.0]), st.integers(1, 150)),
    min_size=MIN_TRIALS,
    max_size=6,
)


def trials(label: str, pairs: Sequence[tuple[float | None, int]]) -> list[TrialRecord]:
    made = [trial(number, *pair) for number, pair in enumerate(pairs)]
    method = MethodConfig(label=label)
    taught = None if label in ("none", "pseudo_label") else "teacher"
    update = {"method": method, "teacher": taught}
    return [
        record.model_copy(update={"task": record.task.model_copy(update=update)}) for record in made
    ]


def ranking(seed: int = 0, **methods: Sequence[tuple[float | None, int]]) -> pd.DataFrame:
    records = [record for label, pairs in methods.items() for record in trials(label, pairs)]
    return method_ranking(records, Objectives(), LARGEST, seed)


def row(table: pd.DataFrame, method: str) -> pd.Series:
    return table.set_index("method").loc[method]


def area(pairs: Sequence[tuple[float, int]]) -> float:
    """The dominated share, cell by cell of the grid that the points' coordinates make."""
    places = [min(math.log(size) / math.log(LARGEST), 1.0) for _, size in pairs]
    widths, heights = sorted({*places, 1.0}), sorted({0.0, *(score for score, _ in pairs)})
    total = 0.0
    for left, right in pairwise(widths):
        for low, high in pairwise(heights):
            covered = any(
                place <= left and score >= high
                for place, (score, _) in zip(places, pairs, strict=True)
            )
            total += covered * (right - left) * (high - low)
    return total


def reached(pairs: Sequence[tuple[float, int]]) -> tuple[float, float]:
    return area(pairs), max(score for score, _ in pairs)


@pytest.mark.parametrize("other", [NONE, NONE[:3]])
def test_scores_are_means_over_every_choice_of_n_trials(other: list[tuple[float, int]]) -> None:
    budget = len(other)
    table = ranking(kd=KD, none=other)
    assert table["budget"].tolist() == [budget, budget]
    for label, pairs in (("kd", KD), ("none", other)):
        found = row(table, label)
        expected = np.mean([reached(chosen) for chosen in combinations(pairs, budget)], axis=0)
        assert found["trials"] == len(pairs)
        assert [found["hypervolume"], found["best_score"]] == pytest.approx(expected, abs=1e-12)
    gain = row(table, "kd")["hypervolume"] - row(table, "none")["hypervolume"]
    assert row(table, "kd")["gain"] == pytest.approx(gain, abs=1e-12)


@pytest.mark.parametrize("pairs", [KD, NONE, DKD])
def test_intervals_are_those_of_every_draw_with_replacement(pairs: list[tuple[float, int]]) -> None:
    """Of equally likely draws the ends are where 2.5 and 97.5 % of them lie below."""
    budget = 4
    found = row(ranking(own=pairs, none=NONE), "own")
    draws = np.array([reached(drawn) for drawn in product(pairs, repeat=budget)])
    for place, name in enumerate(("hypervolume", "best_score")):
        low, high = _ends(draws[:, place], found[name])
        assert found[f"{name}_low"] == pytest.approx(low, abs=0.02)
        assert found[f"{name}_high"] == pytest.approx(high, abs=0.02)


def test_the_interval_of_the_gain_is_that_of_every_pair_of_draws() -> None:
    found = row(ranking(kd=KD, none=NONE), "kd")
    own, base = ([area(drawn) for drawn in product(pairs, repeat=4)] for pairs in (KD, NONE))
    low, high = _ends(np.subtract.outer(own, base).ravel(), found["gain"], bounded=False)
    assert found["gain_low"] == pytest.approx(low, abs=0.02)
    assert found["gain_high"] == pytest.approx(high, abs=0.02)


def _ends(draws: np.ndarray, mean: float, bounded: bool = True) -> np.ndarray:
    ends = np.quantile(draws, [0.025, 0.975]) - draws.mean() + mean
    return np.clip(ends, 0, 1) if bounded else ends


@given(points)
@settings(max_examples=60)
def test_all_trials_of_a_method_reach_the_hypervolume_of_its_front(
    pairs: list[tuple[float, int]],
) -> None:
    (found,) = ranking(none=pairs).to_dict("records")
    records = trials("none", pairs)
    expected = hypervolume(records, Objectives(), [LARGEST])
    assert found["hypervolume"] == pytest.approx(expected, abs=1e-12)
    assert found["best_score"] == pytest.approx(max(score for score, _ in pairs))
    for name in ("hypervolume", "best_score"):
        assert 0 <= found[f"{name}_low"] <= found[name] <= found[f"{name}_high"] <= 1


def test_a_method_gains_nothing_by_more_trials_of_the_same_kind() -> None:
    """The mean over studies of n trials is that of 3n trials, since both are without bias."""
    generator = np.random.default_rng(1)

    def some(count: int) -> list[tuple[float, int]]:
        scores, sizes = generator.beta(5, 2, count), generator.integers(5, 100, count)
        return list(zip(scores.tolist(), sizes.tolist(), strict=True))

    tables = [ranking(few=some(4), many=some(12)) for _ in range(500)]
    gaps = [row(t, "many")["hypervolume"] - row(t, "few")["hypervolume"] for t in tables]
    assert abs(np.mean(gaps)) < 4 * np.std(gaps) / len(gaps) ** 0.5
    assert np.std(gaps) / len(gaps) ** 0.5 < 0.01


def test_the_best_comes_first_and_what_cannot_be_scored_last() -> None:
    table = ranking(kd=KD[:2], none=NONE, dkd=DKD, at=[(None, 5), (None, 6)])
    assert table["method"].tolist() == ["dkd", "none", "at", "kd"]
    assert table["trials"].tolist() == [4, 4, 0, 2]
    assert table[SCORES].iloc[2:].isna().all(axis=None)
    assert table["clear"].tolist() == [True, False, False, False]


def test_failed_trials_are_no_budget() -> None:
    table = ranking(kd=[*KD[:3], (None, 1), (None, 1)], none=NONE)
    assert row(table, "kd")["trials"] == 3
    assert table["budget"].tolist() == [3, 3]


def test_only_an_interval_without_zero_is_clear() -> None:
    table = ranking(dkd=DKD, none=NONE, kd=KD, at=[(0.01, 90), (0.02, 91), (0.01, 92), (0.0, 3)])
    assert row(table, "dkd")["gain_low"] > 0
    assert row(table, "kd")["gain_low"] < 0 < row(table, "kd")["gain_high"]
    assert row(table, "at")["gain_high"] < 0
    assert {name: row(table, name)["clear"] for name in ("dkd", "kd", "at", "none")} == {
        "dkd": True,
        "kd": False,
        "at": True,
        "none": False,
    }
    assert row(table, "none")[["gain", "gain_low", "gain_high"]].isna().all()


def test_without_a_scored_baseline_there_is_no_gain() -> None:
    table = ranking(kd=KD, none=NONE[:2])
    assert np.isnan(row(table, "kd")["gain"])
    assert not table["clear"].any()
    assert not np.isnan(row(table, "kd")["hypervolume"])


def test_the_seed_makes_the_draws_and_other_methods_do_not() -> None:
    first = ranking(kd=KD, none=NONE)
    pd.testing.assert_frame_equal(first, ranking(kd=KD[::-1], none=NONE[::-1]))
    wider = ranking(dkd=DKD, kd=KD, none=NONE)
    assert row(wider, "kd")[SCORES].tolist() == row(first, "kd")[SCORES].tolist()
    other = ranking(seed=1, kd=KD, none=NONE)
    assert row(other, "kd")["hypervolume"] == row(first, "kd")["hypervolume"]
    assert row(other, "kd")["gain_low"] != row(first, "kd")["gain_low"]


def test_the_size_of_the_study_counts() -> None:
    records = trials("none", NONE)
    for size, scale in (("macs", 2), ("bytes", 4)):
        (found,) = method_ranking(records, Objectives(sizes=(size,)), scale * LARGEST, 0).to_dict(
            "records"
        )
        expected = hypervolume(records, Objectives(sizes=(size,)), [scale * LARGEST])
        assert found["hypervolume"] == pytest.approx(expected, abs=1e-12)


def test_no_trials_make_no_rows() -> None:
    table = method_ranking([], Objectives(), LARGEST, 0)
    assert list(table.columns) == list(COLUMNS)
    assert len(table) == 0


def test_the_likelihood_is_ranked_by_itself() -> None:
    """What is above 1 nat dominates nothing, and yet can be a method's best."""
    nats = {
        "kd": [(0.4, 30), (1.7, 10), (0.9, 60), (0.2, 80), (0.6, 20), (0.7, 40)],
        "none": [(1.2, 5), (3.0, 9), (2.0, 7), (2.5, 8)],
    }
    records = [
        record.model_copy(update={"epochs": ({"accuracy": 0.5, "nll": nll},)})
        for label, pairs in nats.items()
        for record, (nll, _) in zip(trials(label, pairs), pairs, strict=True)
    ]
    objectives = Objectives(score="nll")
    table = method_ranking(records, objectives, LARGEST, 0)
    assert table["objective"].tolist() == ["nll", "nll"]
    for label, pairs in nats.items():
        found, heights = row(table, label), [(max(0.0, 1 - nll), size) for nll, size in pairs]
        chosen = [
            (area(some), min(nll for nll, _ in some_nats))
            for some, some_nats in zip(
                combinations(heights, 4), combinations(pairs, 4), strict=True
            )
        ]
        expected = np.mean(chosen, axis=0)
        assert [found["hypervolume"], found["best_score"]] == pytest.approx(expected, abs=1e-12)
        draws = [min(nll for nll, _ in drawn) for drawn in product(pairs, repeat=4)]
        low, high = np.quantile(draws, [0.025, 0.975]) - np.mean(draws) + expected[1]
        assert found["best_score_low"] == pytest.approx(max(low, 0), abs=0.03)
        assert found["best_score_high"] == pytest.approx(high, abs=0.03)
    assert row(table, "none")["hypervolume"] == 0
    assert row(table, "kd")["gain"] == row(table, "kd")["hypervolume"]
