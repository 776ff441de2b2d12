"""The ranking of ways at a size against enumerations of every subset and of every draw."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations, product

import numpy as np
import pandas as pd
import pytest

from kdsearch.results.objectives import Objectives
from kdsearch.results.record import TrialRecord
from kdsearch.results.way_ranking import way_ranking, ways_of_few
from kdsearch.ways import way_configs
from tests.records import trial

NONE = [(0.6, 20), (0.85, 90), (0.5, 15), (0.75, 60)]
QUANTIZE = [(0.9, 80), (0.55, 10), (0.7, 40), (0.8, 55), (0.3, 5), (0.45, 12)]
SHARE = [(0.95, 12), (0.94, 11), (0.96, 13)]


Pairs = Sequence[tuple[float | None, int]]


def ranking(**ways: Pairs) -> pd.DataFrame:
    return way_ranking(trials(**ways), Objectives(), 0)


def trials(**ways: Pairs) -> list[TrialRecord]:
    records: list[TrialRecord] = []
    for label, pairs in ways.items():
        for number, pair in enumerate(pairs):
            record = trial(number, *pair)
            model = record.task.model.model_copy(update={"ways": way_configs(label, {})})
            task = record.task.model_copy(update={"model": model})
            records.append(record.model_copy(update={"task": task}))
    return records


def best(chosen: Sequence[tuple[float, int]], limit: float) -> float:
    return max((score for score, size in chosen if size <= limit), default=0.0)


def test_scores_are_means_over_every_choice_of_n_trials() -> None:
    table = ranking(none=NONE, quantize=QUANTIZE)
    pairs = {"none": NONE, "quantize": QUANTIZE}
    # of ten sizes the third, the seventh and the last
    assert table["at_most"].unique().tolist() == [12, 55, 90]
    assert set(table["budget"]) == {4}
    for _, row in table.iterrows():
        choices = combinations(pairs[row["way"]], 4)
        expected = np.mean([best(chosen, row["at_most"]) for chosen in choices])
        assert row["best_score"] == pytest.approx(expected, abs=1e-12)
        assert row["trials"] == len(pairs[row["way"]])
        small = [size for _, size in pairs[row["way"]] if size <= row["at_most"]]
        assert row["fits"] == len(small)


def test_intervals_are_those_of_every_draw_with_replacement() -> None:
    table = ranking(none=NONE, quantize=QUANTIZE)
    for _, row in table[table["way"] == "quantize"].iterrows():
        drawn = [best(each, row["at_most"]) for each in product(QUANTIZE, repeat=4)]
        moved = np.quantile(drawn, [0.025, 0.975]) - np.mean(drawn) + row["best_score"]
        low, high = np.clip(moved, 0, 1)
        assert row["best_score_low"] == pytest.approx(min(low, row["best_score"]), abs=0.02)
        assert row["best_score_high"] == pytest.approx(max(high, row["best_score"]), abs=0.02)


def test_the_best_at_a_size_comes_first_and_is_clear_where_its_lead_is() -> None:
    table = ranking(none=NONE, share=SHARE)
    first = table[table["first"]]
    assert first["at_most"].tolist() == [12, 20, 90]
    assert first["way"].tolist() == ["share"] * 3
    assert first["clear"].tolist() == [True, True, True]
    assert not table[~table["first"]]["clear"].any()
    level = ranking(none=NONE, share=NONE)
    assert not level["clear"].any()


def test_without_two_ways_of_enough_trials_there_is_nothing_to_rank() -> None:
    assert ranking(none=NONE).empty
    assert ranking(none=NONE, share=SHARE[:2]).empty
    assert ranking(none=NONE, share=[*SHARE[:2], (None, 5)]).empty


def test_ways_that_are_not_ranked_are_told_with_their_complete_trials() -> None:
    few = [(0.5, 10), (0.6, 20), (None, 30)]
    records = trials(none=NONE, quantize=QUANTIZE, sparse=few, prune=[(None, 10)])
    assert ways_of_few(records) == {"sparse": 2, "prune": 0}
    assert set(way_ranking(records, Objectives(), 0)["way"]) == {"none", "quantize"}
