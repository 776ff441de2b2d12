"""Finalists: intervals against the textbook, pairing, what is trained and what is shipped."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from kdsearch.search.finalists import Finalist, estimate, finalist_records, gather
from kdsearch.search.record import TrialRecord
from kdsearch.spec import MethodConfig, StudySpec, TermConfig
from tests.search.records import TASK, trial


def run(seed: int, test: float, validation: float = 0.5) -> TrialRecord:
    record = trial(seed, validation, 10)
    return record.model_copy(
        update={"task": TASK.model_copy(update={"seed": seed}), "test": {"accuracy": test}}
    )


def distilled(number: int, accuracy: float, size: int, temperature: float) -> TrialRecord:
    term = TermConfig(name="kd", hyperparameters={"temperature": temperature, "weight": 0.9})
    task = TASK.model_copy(update={"method": MethodConfig(label="kd", terms=(term,))})
    return trial(number, accuracy, size).model_copy(update={"task": task})


def test_estimate_is_the_t_interval_of_scipy() -> None:
    values = [0.91, 0.93, 0.90, 0.95]
    low, high = stats.t.interval(
        0.95, len(values) - 1, loc=np.mean(values), scale=stats.sem(values)
    )
    found = estimate(values)
    assert found.mean == pytest.approx((low + high) / 2)
    assert found.half_width == pytest.approx((high - low) / 2)
    assert found.count == 4


def test_one_value_has_no_interval_and_none_has_no_mean() -> None:
    assert estimate([0.5]).mean == 0.5
    assert math.isnan(estimate([0.5]).half_width)
    assert math.isnan(estimate([]).mean)


def test_gain_is_paired_by_seed() -> None:
    runs = (run(1, 0.9), run(2, 0.8))
    baseline = (run(2, 0.7), run(1, 0.85), run(3, 0.1))
    gain = Finalist(trial(0, 0.5, 1), runs, baseline).gain
    assert gain.mean == pytest.approx(np.mean([0.9 - 0.85, 0.8 - 0.7]))
    assert gain.count == 2


def test_the_shipped_training_is_best_on_validation_not_on_test() -> None:
    runs = (run(1, test=0.99, validation=0.5), run(2, test=0.60, validation=0.8))
    shipped = Finalist(trial(0, 0.5, 1), runs, ()).shipped
    assert shipped is not None
    assert shipped.task.seed == 2


def test_each_seed_and_each_baseline_is_trained_once(spec: StudySpec) -> None:
    members = [distilled(0, 0.5, 10, 2.0), distilled(1, 0.6, 20, 4.0), trial(2, 0.7, 30)]
    records = finalist_records(spec, members)
    labels = [record.task.method.label for record in records]
    # one student, three ways: kd at two temperatures, and one baseline that serves all three
    assert labels.count("kd") == 2 * spec.finalists.seeds
    assert labels.count("none") == spec.finalists.seeds
    assert len({record.task.key for record in records}) == len(records)
    assert len({record.task.seed for record in records}) == spec.finalists.seeds


def test_the_seeds_of_finalists_are_not_the_seed_of_the_search(spec: StudySpec) -> None:
    from kdsearch.search.space import Candidate

    candidate = Candidate(TASK.model, TASK.method, TASK.training)
    searched = candidate.task(spec, 0)
    judged = [candidate.task(spec, replicate) for replicate in (1, 2, 3)]
    assert searched.seed not in {task.seed for task in judged}
    assert {task.views_seed for task in judged} == {searched.views_seed}


def test_gather_finds_the_trainings_of_each_member(spec: StudySpec) -> None:
    members = [distilled(0, 0.5, 10, 2.0), trial(2, 0.7, 30)]
    planned = finalist_records(spec, members)
    ended = {
        record.number: record.model_copy(
            update={"status": "complete", "test": {"accuracy": 0.1 * record.number}}
        )
        for record in planned
    }
    first, second = gather(spec, members, ended)
    assert [r.task.method.label for r in first.runs] == ["kd"] * 2
    assert [r.task.method.label for r in first.baseline] == ["none"] * 2
    assert second.runs == second.baseline == first.baseline
    assert second.gain.mean == 0.0
