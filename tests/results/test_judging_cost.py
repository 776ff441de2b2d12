"""What judging costs, and how many finalists a share of the compute pays for."""

from __future__ import annotations

import math

import pytest

from kdsearch.results.cost import CostOf, TrialCost
from kdsearch.results.judging import Judging, affordable, planned_trainings
from kdsearch.results.record import TrialRecord
from kdsearch.search.judging_jobs import JudgingJobs
from kdsearch.spec import StudySpec
from kdsearch.spec.sections import FinalistsSection
from tests.results.judged import (
    BLUEPRINTS,
    EPOCHS,
    SEARCHED,
    by_task,
    distilled,
    epochs_alone,
    members,
    run_all,
    search_of,
    spec_of,
)


@pytest.fixture
def spec(spec_text: str) -> StudySpec:
    return spec_of(spec_text)


def test_the_epochs_are_what_the_trainings_take(spec: StudySpec) -> None:
    judging = Judging(spec, members(), SEARCHED, {})
    found = by_task(run_all(JudgingJobs(judging, {}, BLUEPRINTS)))
    took = sum(len(record.epochs) for record in found.values())
    assert judging.epochs == judging.cost(epochs_alone) == took


def test_forebears_and_peers_are_compute_too(spec: StudySpec) -> None:
    """About three trainings of a grandchild, and two of a pair; the peers' signals come on top."""
    one, cost = distilled(0, 0.5, 10, 0.5, 0.03), TrialCost(650, 100, 64)
    for teacher, generations, times in (("born_again", 2, 3), ("mutual", 1, 2)):
        task = one.task.model_copy(update={"teacher": teacher, "generations": generations})
        other = one.model_copy(update={"task": task})
        costs = [Judging(spec, [m], SEARCHED, {}).cost(cost) for m in (one, other)]
        more = (costs[1] - costs[0]) / (cost(one, EPOCHS) * spec.finalists.seeds)
        assert times - 1 < more < 1.3 * (times - 1)
        if teacher == "born_again":
            epochs = [Judging(spec, [m], SEARCHED, {}).cost(epochs_alone) for m in (one, other)]
            assert epochs[1] - epochs[0] == (times - 1) * EPOCHS * spec.finalists.seeds


def test_no_more_are_judged_than_their_share_of_the_compute_pays_for(spec: StudySpec) -> None:
    front = [
        distilled(n, 0.1 * n, 10 * n, 0.1 * n, 0.05, label)
        for n, label in enumerate(("kd", "dist", "kd", "kd"), start=1)
    ]
    whole = [
        record.model_copy(update={"epochs": record.epochs * EPOCHS})
        for record in search_of(kd=20, dist=10, none=10)
    ]

    def chosen(share: float, most: int = 4, cost: CostOf = epochs_alone) -> list[TrialRecord]:
        other = spec.model_copy(update={"finalists": FinalistsSection(max=most)})
        return affordable(other, whole, lambda count: front[-count:], share, cost)

    assert chosen(math.inf) == front
    assert chosen(0.001) == front[-1:]
    for share in (0.3, 0.5, 0.7, 0.9, 5.0):
        other = spec.model_copy(update={"finalists": FinalistsSection()})
        fits = [
            count
            for count in (1, 2, 3, 4)
            if Judging(other, front[-count:], whole, {}).cost(epochs_alone) <= share * 40 * EPOCHS
        ]
        assert len(chosen(share)) == max(fits, default=1)
    assert {len(chosen(share)) for share in (0.3, 0.7, 0.9, 5.0)} == {1, 2, 3, 4}
    assert len(chosen(5.0, most=2)) == 2
    assert chosen(0.5, most=4) == chosen(0.5, most=3)
    assert affordable(spec, [], lambda count: [], 0.5, epochs_alone) == []

    def large_ones_cost(record: TrialRecord, epochs: float) -> float:
        return epochs * (1 + record.macs)

    assert len(chosen(0.7, cost=large_ones_cost)) < len(chosen(0.7))


def test_the_plan_is_what_an_even_search_leads_to(spec: StudySpec) -> None:
    """12 trials of four methods make three a method: a sweep of four takes 4 · 1 + 1 · 8 epochs."""
    assert planned_trainings(spec, spec.search.trials) == 2 * (2 * 2 + (4 + 2 + 6) / EPOCHS)
