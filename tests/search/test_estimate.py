"""What a study would cost: what is kept is asked for once, what is not at every step."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from pathlib import Path

import pytest
import torch

from kdsearch.data import Batch
from kdsearch.errors import StudyError
from kdsearch.models import Signal, Signals
from kdsearch.results.cost import TrialCost
from kdsearch.results.record import TrialRecord
from kdsearch.search import estimate
from kdsearch.search.estimate import STEPS, Cost, estimate_cost, sample_trials
from kdsearch.space.checks import Plan, make_plan
from kdsearch.spec import parse_spec
from kdsearch.spec.concrete import FineTuning
from kdsearch.training.hardware import Hardware
from kdsearch.training.programs import total_epochs
from kdsearch.training.task import Task
from kdsearch.training.teacher import Teacher

SAMPLES = 4

Asked = Counter[frozenset[Signal]]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    """How often the given teachers were asked by the timed trainings, by what was wanted."""
    counts: Asked = Counter()

    class Counting(Teacher):
        def observe(self, batch: Batch, wanted: Collection[Signal]) -> Signals:
            counts[frozenset(wanted)] += 1
            return super().observe(batch, wanted)

    monkeypatch.setattr("kdsearch.search.estimate.Teacher", Counting)
    return counts


def costed(spec_text: str, *overrides: str) -> tuple[Plan, list[TrialRecord], Cost]:
    # a batch of 20 leaves 16 steps an epoch, more than are timed
    plan = make_plan(parse_spec(spec_text, ["training.batch_size=20", *overrides]))
    samples = sample_trials(plan, SAMPLES)
    return plan, samples, estimate_cost(plan, samples)


def distilled(samples: list[TrialRecord]) -> int:
    return sum(record.task.teacher is not None for record in samples)


def test_of_what_is_kept_the_teacher_is_asked_once_for_all_trials(
    spec_text: str, asked: Asked
) -> None:
    _, samples, cost = costed(spec_text, "methods=[kd]")
    assert distilled(samples) > 1
    # twice for the time that asking takes, and once in place of what the trials read
    assert asked == {frozenset({Signal.LOGITS}): 3}
    assert cost.cache > 0
    assert cost.caches.teachers["teacher"].whole == [Signal.LOGITS]


def test_without_a_cache_the_teacher_is_asked_at_every_step(spec_text: str, asked: Asked) -> None:
    _, samples, cost = costed(spec_text, "methods=[kd]", "cache.disk_gb=0")
    assert asked == {frozenset({Signal.LOGITS}): distilled(samples) * (STEPS + 1)}
    assert cost.cache == 0


def test_a_method_that_reads_more_than_is_kept_asks_at_every_step(
    spec_text: str, asked: Asked
) -> None:
    _, samples, _ = costed(spec_text, "methods=[kd, kd+fitnet]", "cache.signals=[logits]")
    labels = Counter(record.task.method.label for record in samples)
    both, one = frozenset({Signal.LOGITS, Signal.FEATURES}), frozenset({Signal.LOGITS})
    assert labels["kd+fitnet"] > 0
    assert asked[both] == labels["kd+fitnet"] * (STEPS + 1)
    assert asked[one] == 2 + (labels["kd"] > 0)


def test_a_forebear_is_asked_at_every_step_whatever_is_kept(spec_text: str, asked: Asked) -> None:
    _, samples, _ = costed(spec_text, "methods=[kd]", "teaching={by: [born_again]}")
    assert asked.total() == distilled(samples) * (STEPS + 1)


@pytest.mark.parametrize("by", ["teacher", "born_again"])
def test_a_ladder_takes_the_epochs_of_its_trials_whoever_teaches(
    spec_text: str, by: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "kdsearch.search.estimate._seconds", lambda task, *_: float(total_epochs(task))
    )
    given = "search.strategy=ladder", "methods=[kd]", f"teaching={{by: [{by}]}}", "search.trials=20"
    students = "students=[{family: convnet, width: {low: 0.4, high: 0.5}, depth: 1}]"
    plan, _, cost = costed(spec_text, *given, students)
    spec = plan.spec
    most = spec.search.trials * spec.training.epochs / spec.resources.concurrent
    assert 0.6 * most < cost.search < 1.4 * most


def test_an_estimate_writes_nothing_and_leaves_the_process_as_it_was(
    spec_text: str, tmp_path: Path
) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        _, _, cost = costed(spec_text, "resources.cpus_per_trial=1")
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)
    assert list(tmp_path.iterdir()) == []
    parts = (cost.teacher, cost.cache, cost.search, cost.finalists)
    assert all(part > 0 for part in parts)
    assert cost.total == pytest.approx(sum(parts))


def epochs_alone(_: TrialCost, __: TrialRecord, epochs: float) -> float:
    """A predicted cost that is the same for every student and method."""
    return epochs


def test_trials_that_were_not_timed_count_by_their_predicted_cost(
    spec_text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """crd is predicted to take several times as long as the undistilled trials that are timed."""
    monkeypatch.setattr("kdsearch.search.estimate._seconds", lambda *_: 1.0)
    words = ["methods=[none, crd]", "search.trials=30", "resources.concurrent=1"]
    plan = make_plan(parse_spec(spec_text, ["training.batch_size=20", *words]))
    trials, predicted = sample_trials(plan, 30), TrialCost.on(plan.data)
    timed = [each for each in trials if each.task.teacher is None][:3]

    def whole(record: TrialRecord) -> float:
        return predicted(record, record.task.training.epochs)

    expected = sum(map(whole, trials)) * 3 / sum(map(whole, timed))
    assert estimate_cost(plan, timed).search == pytest.approx(expected)
    assert expected > 2 * 30


def test_the_search_grows_with_its_trials_and_shrinks_with_those_at_a_time(
    spec_text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kdsearch.search.estimate._seconds", lambda *_: 10.0)
    monkeypatch.setattr(TrialCost, "__call__", epochs_alone)

    def searched(*overrides: str) -> Cost:
        return costed(spec_text, "methods=[none]", *overrides)[2]

    assert searched("search.trials=6", "resources.concurrent=1").search == pytest.approx(60)
    assert searched("search.trials=6", "resources.concurrent=3").search == pytest.approx(20)
    assert searched("resources.concurrent=1").teacher == pytest.approx(10)
    assert searched().cache == 0


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], 40 * 2.0),
        (
            ["search.scheduler={name: halving, rungs: [0.12, 0.34]}"],
            40 * 2.0 * (1 + 2 / 3 + 6 / 9) / 9,
        ),
        (["search.max_epochs=90"], 90 / 9 * 2.0),
        (["search.max_epochs=100000"], 40 * 2.0),
        (["search.max_hours=0.01"], 36.0),
        (["search.max_device_hours=0.02", "resources.cpus_per_trial=3"], 24.0),
    ],
)
def test_the_search_is_estimated_within_its_budgets(
    spec_text: str, monkeypatch: pytest.MonkeyPatch, words: list[str], expected: float
) -> None:
    """Every whole training of nine epochs is given two seconds, one trial at a time."""
    monkeypatch.setattr("kdsearch.search.estimate._seconds", lambda *_: 2.0)
    monkeypatch.setattr(TrialCost, "__call__", epochs_alone)
    fixed = ["training.epochs=9", "search.trials=40", "resources.concurrent=1"]
    _, _, cost = costed(spec_text, *fixed, *words)
    assert cost.search == pytest.approx(expected)


def test_limits_that_no_random_student_keeps_are_told(
    spec_text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = make_plan(parse_spec(spec_text))
    monkeypatch.setattr("kdsearch.space.usable.within_limits", lambda *_: False)
    with pytest.raises(StudyError, match="none of 40 random students keeps the size limits; raise"):
        sample_trials(plan, 2)


def test_the_phases_of_a_training_are_timed_apart(
    spec_text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A head that is trained alone for a quarter of the epochs, each of its trainings 100 s."""
    plan = make_plan(parse_spec(spec_text, []))
    task = sample_trials(plan, 1)[0].task
    training = task.training.model_copy(
        update={"epochs": 8, "fine_tuning": FineTuning(head_epochs=2, pretrained_lr=0.5)}
    )
    task = task.model_copy(update={"training": training})

    def seconds(phase: Task, *_: object) -> float:
        assert phase.training.epochs == 8
        assert phase.training.fine_tuning is not None
        return 100.0 if phase.training.fine_tuning.freeze == "backbone" else 300.0

    monkeypatch.setattr(estimate, "_seconds_alike", seconds)
    assert estimate._seconds(task, plan, {}, Hardware()) == 2 / 8 * 100 + 6 / 8 * 300
