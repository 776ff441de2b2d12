"""What a study hands to its search."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from kdsearch.execution.observers import Observer
from kdsearch.results.cost import TrialCost
from kdsearch.results.record import TrialRecord
from kdsearch.search.estimate import sample_trials
from kdsearch.search.loop import ProposedJobs
from kdsearch.search.study_run import StudyRun
from kdsearch.space.checks import make_plan
from kdsearch.spec import parse_spec


def test_the_clock_of_a_search_counts_predicted_costs(
    spec_text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each training that is handed out costs what is predicted for its network and method."""
    run = StudyRun(make_plan(parse_spec(spec_text)), Observer())
    run.directory.create(run.plan.spec)
    predicted = TrialCost.on(run.plan.data)
    handed_out: list[tuple[TrialRecord, float]] = []

    def take_all(runner: Any, jobs: ProposedJobs, *_: Any) -> None:
        hand_out: Callable[..., None] = jobs._clock.hand_out

        def note(record: TrialRecord, cost: float) -> None:
            handed_out.append((record, cost))
            hand_out(record, cost)

        monkeypatch.setattr(jobs._clock, "hand_out", note)
        while (record := jobs.next()) is not None:
            assert record.task.training.epochs == 1

    monkeypatch.setattr(run, "_run", take_all)
    runner: Any = None
    run._search(runner)
    assert len(handed_out) > 1
    assert len({cost for _, cost in handed_out}) == len(handed_out)
    for record, cost in handed_out:
        assert cost == predicted(record, 1)


def test_a_resumed_search_measures_no_latency_again(
    spec_text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Measured anew it would be another, and so might be what keeps the limits."""
    plan = make_plan(parse_spec(spec_text, ["search.size=[parameters, latency]"]))
    run = StudyRun(plan, Observer())
    run.directory.create(plan.spec)
    (sample,) = sample_trials(plan, 1)
    run.directory.trials.append(sample.model_copy(update={"latency": 12.5, "epochs": ()}))
    monkeypatch.setattr(run, "_run", lambda *_: None)
    runner: Any = None
    run._search(runner)
    assert plan.architectures.of_files(sample.task.model, ("latency",)) == {"latency": 12.5}
