"""A whole study whose trials share one CUDA device."""

from __future__ import annotations

import pytest

import kdsearch
from kdsearch.execution.observers import Observer
from kdsearch.results.record import TrialRecord
from kdsearch.spec import parse_spec

pytestmark = [pytest.mark.gpu, pytest.mark.slow]


class Together(Observer):
    """Notes how many trials were under way at once."""

    def __init__(self) -> None:
        self.running: set[int] = set()
        self.most = 0

    def trial_started(self, record: TrialRecord) -> None:
        self.running.add(record.number)
        self.most = max(self.most, len(self.running))

    def trial_ended(self, record: TrialRecord) -> None:
        self.running.discard(record.number)


def test_a_study_of_two_trials_at_a_time_on_one_device_ends_with_a_front(spec_text: str) -> None:
    changes = ["resources.gpus_per_trial=0.5", "resources.concurrent=2", "search.trials=6"]
    together = Together()
    study = kdsearch.run_study(parse_spec(spec_text, changes), observers=[together])
    assert together.most == 2
    assert (study.trials["status"] == "complete").all()
    assert len(study.front) >= 1
    assert study.front["test_accuracy"].between(0.2, 1).all()
