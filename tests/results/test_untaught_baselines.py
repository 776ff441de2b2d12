"""Baselines of several methods that need no teacher: tuned alike, the better on validation counts.

By made-up trainings, whose quality is known.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from kdsearch.methods import method_config
from kdsearch.results.judging import Judging, planned_trainings
from kdsearch.results.record import TrialRecord
from kdsearch.results.sweep import baseline_methods, sweep_points
from kdsearch.search.judging_jobs import JudgingJobs
from kdsearch.spec import StudySpec, parse_spec
from kdsearch.spec.concrete import ModelConfig, TrainingConfig
from kdsearch.training.recipe import Recipe
from tests.results import judged as plain
from tests.results.judged import (
    BLUEPRINTS,
    EPOCHS,
    by_task,
    distilled,
    epochs_alone,
    run_all,
    search_of,
    searched_values,
    spec_of,
)

METHODS = "methods={none: {}, kd: {}, pseudo_label: {weight: 2.0, start: 0.2}}"


@pytest.fixture
def spec(spec_text: str) -> StudySpec:
    return spec_of(spec_text, METHODS)


def confidence(record: TrialRecord) -> float:
    return record.task.method.terms[0].hyperparameters["confidence"]


def with_pseudo_labels(bonus: float) -> object:
    """A quality to which pseudo-labels at the middle confidence add a bonus."""
    before = plain.quality

    def quality(record: TrialRecord) -> float:
        if record.task.method.label != "pseudo_label":
            return before(record)
        return before(record) + (bonus if confidence(record) == 0.8 else -0.3)

    return quality


def test_the_methods_that_need_no_teacher_are_named(spec: StudySpec, spec_text: str) -> None:
    assert baseline_methods(spec) == ("none", "pseudo_label")
    sums = parse_spec(spec_text, ["methods=[kd, kd+pseudo_label, pseudo_label]"])
    assert baseline_methods(sums) == ("none", "pseudo_label")


def test_with_a_target_domain_pseudo_labels_adapt(spec_text: str) -> None:
    """They learn from samples of the target, so they are compared with none as others are."""
    two = parse_spec(spec_text, [METHODS, "target={source: digits}"])
    assert baseline_methods(two) == ("none",)
    recipe = Recipe(
        ModelConfig(family="mlp"), method_config("pseudo_label", {}), TrainingConfig(epochs=EPOCHS)
    )
    assert not recipe.task(two, 0).is_baseline
    assert recipe.undistilled().task(two, 0).is_baseline
    assert recipe.task(parse_spec(spec_text, [METHODS]), 0).is_baseline


def test_their_own_values_are_spread_too(spec: StudySpec) -> None:
    """By rate, decay, smoothing, weight, confidence, start, ramp, decay and weight of the ce."""
    points = np.array(sweep_points(spec, 60, "pseudo_label"))
    assert points.shape == (60, 9)
    assert set(points[:, 3]) == {2.0}
    values, counts = np.unique(points[:, 4], return_counts=True)
    assert values.tolist() == [0.0, 0.8, 0.95]
    assert counts.min() >= 15
    assert set(points[:, 5]) == {0.2}
    units = (np.log10(points[:, 0]) - math.log10(0.02)) / math.log10(10)
    assert set((units * 6).astype(int)) == set(range(6))
    assert sweep_points(spec, 20) == sweep_points(spec, 20, "none")


@pytest.mark.parametrize(("bonus", "expected"), [(0.05, "pseudo_label"), (-0.05, "none")])
def test_the_better_on_validation_is_the_baseline(
    spec: StudySpec, monkeypatch: pytest.MonkeyPatch, bonus: float, expected: str
) -> None:
    monkeypatch.setattr(plain, "quality", with_pseudo_labels(bonus))
    member = distilled(0, 0.5, 10, 0.5, 0.03)
    judging = Judging(spec, [member], search_of(kd=11), {})
    known = by_task(run_all(JudgingJobs(judging, {}, BLUEPRINTS)))
    assert len(known) == judging.total
    assert [len(sweep.trainings) for sweep in judging.baselines.sweeps.values()] == [12, 12]
    (finalist,) = judging.finalists(known)
    assert {run.task.method.label for run in finalist.baseline} == {expected}
    assert len(finalist.baseline) == len(finalist.runs) == spec.finalists.seeds
    swept = [
        record
        for record in known.values()
        if record.phase == "baselines" and record.task.method.label == expected
    ]
    whole = [record for record in swept if len(record.epochs) == EPOCHS]
    best = max(whole, key=plain.quality)
    for run in finalist.baseline:
        assert searched_values(run.task) == searched_values(best.task)
        assert run.task.method == best.task.method
        assert run.task.teacher is None
    gaps = [
        run.test["accuracy"] - base.test["accuracy"]
        for run, base in zip(finalist.runs, finalist.baseline, strict=True)
        if run.test and base.test
    ]
    assert finalist.gain.mean == pytest.approx(np.mean(gaps))


def test_the_members_own_rate_is_tried_with_the_published_values(spec: StudySpec) -> None:
    member = distilled(0, 0.5, 10, 0.5, 0.03)
    judging = Judging(spec, [member], search_of(kd=4), {})
    (student,) = {model for model, _ in judging.baselines.sweeps}
    first = judging.baselines.sweeps[student, "pseudo_label"].trainings[0].task
    assert searched_values(first) == searched_values(member.task)
    (term,) = first.method.terms
    assert term.hyperparameters["confidence"] == 0.0
    assert term.hyperparameters["weight"] == 2.0
    assert term.hyperparameters["start"] == 0.2


def test_a_member_by_pseudo_labels_is_its_own_baseline(spec: StudySpec) -> None:
    judging = Judging(spec, [distilled(0, 0.5, 10, 0.5, 0.03)], search_of(kd=4), {})
    (student,) = {model for model, _ in judging.baselines.sweeps}
    task = judging.baselines.sweeps[student, "pseudo_label"].trainings[0].task
    member = distilled(0, 0.5, 10, 0.5, 0.03).model_copy(update={"task": task})
    own = Judging(spec, [member], search_of(kd=4), {})
    assert not own.baselines.sweeps
    known = by_task(run_all(JudgingJobs(own, {}, BLUEPRINTS)))
    (finalist,) = own.finalists(known)
    assert finalist.runs == finalist.baseline
    assert finalist.gain.count == 0


def test_where_nothing_is_searched_each_is_still_trained_once_to_be_compared(
    spec_text: str,
) -> None:
    fixed = ["training.lr=0.1", "training.weight_decay=5.0e-4", f"training.epochs={EPOCHS}"]
    methods = "methods={kd: {}, pseudo_label: {weight: 1.0, confidence: 0.9}}"
    spec = parse_spec(spec_text, [*fixed, methods])
    judging = Judging(spec, [distilled(0, 0.5, 10, 0.5, 0.1)], search_of(kd=4), {})
    known = by_task(run_all(JudgingJobs(judging, {}, BLUEPRINTS)))
    seeds = spec.finalists.seeds
    assert len(known) == judging.total == 2 * seeds + 2
    assert judging.cost(epochs_alone) == (2 * seeds + 2) * EPOCHS
    seeded = 2 * seeds * spec.finalists.max
    assert planned_trainings(spec, spec.search.trials) == seeded + 2 * spec.finalists.max


def test_a_sweep_that_was_cut_off_has_no_baseline_yet(spec: StudySpec) -> None:
    judging = Judging(spec, [distilled(0, 0.5, 10, 0.5, 0.03)], search_of(kd=11), {})
    whole = len(run_all(JudgingJobs(judging, {}, BLUEPRINTS)))
    for stop in range(1, whole, 7):
        known = by_task(run_all(JudgingJobs(judging, {}, BLUEPRINTS), stop=stop))
        (finalist,) = judging.finalists(known)
        due = any(sweep.due(known) for sweep in judging.baselines.sweeps.values())
        assert not (due and finalist.baseline)
