"""Who goes on: decided by the definition, alike at any speed, and told as what it is."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from optuna.trial import TrialState

from kdsearch.results.front import pareto_front
from kdsearch.results.objectives import Objectives
from kdsearch.results.preference import neighbour_order, preference
from kdsearch.results.record import TrialRecord
from kdsearch.search.clock import SLACK, margin_of
from kdsearch.search.halving import Halving
from kdsearch.search.loop import ProposedJobs
from kdsearch.search.study_run import stopped
from kdsearch.spec import StudySpec, parse_spec
from kdsearch.spec.teaching import BORN_AGAIN
from tests.records import trial
from tests.search import test_loop as proposals
from tests.search.test_loop import first, last, make_jobs

EPOCHS = 9
WORDS = [
    "search.trials=40",
    f"training.epochs={EPOCHS}",
    "search.scheduler.name=halving",
    "search.scheduler.rungs=[0.12, 0.34]",
]
RUNGS = (1, 3)

Pick = Callable[[list[TrialRecord]], TrialRecord]


def report(record: TrialRecord, epoch: int) -> dict[str, float]:
    """Made-up scores of a configuration; the averaged ones are ahead of the others."""
    size, rate = record.parameter_count, record.task.training.lr
    final = 1 - 1 / (1 + size**0.3) - abs(rate - 0.05)
    done = epoch / EPOCHS
    return {
        "epoch": epoch,
        "seconds": 1.0,
        "accuracy": final * done,
        "averaged_accuracy": final * math.sqrt(done) - 0.01 * math.sin(size),
    }


def step(jobs: ProposedJobs, record: TrialRecord) -> TrialRecord:
    """A trial one epoch on, as the search would have it."""
    if record.number % 7 == 5 and len(record.epochs) == record.number % 2 * 2:
        return record.model_copy(update={"status": "failed", "reason": "made up"})
    until = jobs.stage(record).until
    epoch = len(record.epochs) + 1
    record = record.model_copy(update={"epochs": (*record.epochs, report(record, epoch))})
    if epoch == EPOCHS:
        return record.model_copy(update={"status": "complete"})
    return record.model_copy(update={"status": "paused"}) if epoch == until else record


def drive(
    jobs: ProposedJobs,
    at_a_time: int,
    pick: Pick,
    cut: int | None = None,
    running: list[TrialRecord] | None = None,
) -> list[TrialRecord]:
    """Run made-up trainings an epoch at a time, in the order that ``pick`` says."""
    return proposals.drive(jobs, at_a_time, pick, cut, step, running)


def by_number(records: list[TrialRecord]) -> list[TrialRecord]:
    """What came of each trial, by number."""
    latest = {record.number: record for record in records}
    return [latest[number] for number in sorted(latest)]


@pytest.fixture(params=["halving", "neighbours"])
def halving_spec(spec_text: str, request: pytest.FixtureRequest) -> StudySpec:
    return parse_spec(spec_text, [*WORDS, f"search.scheduler.name={request.param}"])


def test_the_order_in_which_epochs_end_changes_no_decision(halving_spec: StudySpec) -> None:
    shuffled = random.Random(0)
    orders: list[tuple[int, Pick]] = [
        (1, first),
        (2, first),
        (2, last),
        (2, shuffled.choice),
    ]
    runs = [by_number(drive(make_jobs(halving_spec)[0], count, pick)) for count, pick in orders]
    states = [record.status for record in runs[0]]
    assert len(states) == 40
    assert set(states) == {"complete", "paused", "failed"}
    assert all(run == runs[0] for run in runs)


@pytest.mark.parametrize("cut", [3, 12, 25, 40])
def test_a_search_that_was_cut_off_decides_as_it_would_have(
    halving_spec: StudySpec, cut: int
) -> None:
    whole = by_number(drive(make_jobs(halving_spec)[0], 2, first))
    ended = drive(make_jobs(halving_spec)[0], 2, last, cut)
    finished = {record.number: record for record in ended}
    rest = drive(make_jobs(halving_spec, finished)[0], 2, first)
    assert by_number([*ended, *rest]) == whole
    handed = [(record.number, len(record.epochs)) for record in [*ended, *rest]]
    assert len(handed) == len(set(handed)), "a stage was trained twice"


class Definition:
    """The course of a search with one training at a time, from what each decision may know.

    Args:
        spec: The study.
        records: What came of each trial.
        cost: Of so many epochs of a trial.
        slack: After how many times its cost a training is due.
        margin: And how many times the mean of all costs; absent: as its workers say.
    """

    def __init__(
        self,
        spec: StudySpec,
        records: list[TrialRecord],
        cost: Callable[[TrialRecord, int], float] = lambda _, epochs: epochs,
        slack: float = SLACK,
        margin: float | None = None,
    ) -> None:
        self.spec, self.records, self.cost = spec, records, cost
        workers = spec.resources.concurrent
        self.slack, self.margin = slack, margin_of(workers) if margin is None else margin
        self.known: dict[int, int] = {}
        """Epochs of each trial whose outcome is known."""
        self.gone_on: set[tuple[int, int]] = set()

    def point(self, number: int, rung: int) -> list[float]:
        record = self.records[number]
        loss = 1 - record.epochs[rung - 1]["averaged_accuracy"]
        return [loss, math.log10(record.parameter_count)]

    def goes_on(self) -> tuple[int, int] | None:
        """Who goes on next, and from where: the last rung first, the best third, the best first."""
        for rung in reversed(RUNGS):
            there = self.reached[rung]
            if len(there) < 3:
                continue
            points = np.array([self.point(number, rung) for number in there])
            halves = self.spec.search.scheduler.name == "halving"
            order = preference(points) if halves else neighbour_order(points, 8)
            for place in order[: len(there) // 3]:
                if (there[place], rung) not in self.gone_on:
                    return there[place], rung
        return None

    def course(self) -> list[tuple[int, int]]:
        """Every stage that is handed out: the trial, and the epochs that it has behind it."""
        proposed, handed = 0, []
        waiting: list[tuple[float, int, tuple[int, int]]] = []
        self.reached: dict[int, list[int]] = {rung: [] for rung in RUNGS}
        lanes, costs, skipped = [0.0] * self.spec.resources.concurrent, [], 0.0
        while True:
            clock = max(skipped, min(lanes))
            for each in sorted(each for each in waiting if each[0] <= clock):
                waiting.remove(each)
                number, done = each[2]
                end = next((rung for rung in RUNGS if rung > done), EPOCHS)
                if end < EPOCHS and len(self.records[number].epochs) >= end:
                    self.reached[end].append(number)
            stage = self.goes_on()
            if stage is not None:
                self.gone_on.add(stage)
            elif proposed < self.spec.search.trials:
                stage = (proposed, 0)
                proposed += 1
            elif waiting:
                skipped = max(clock, min(waiting)[0])
                continue
            else:
                return handed
            epochs = next((rung for rung in RUNGS if rung > stage[1]), EPOCHS) - stage[1]
            cost = self.cost(self.records[stage[0]], epochs)
            costs.append(cost)
            due = clock + self.slack * cost + self.margin * sum(costs) / len(costs)
            waiting.append((due, len(handed), stage))
            handed.append(stage)
            lanes[lanes.index(min(lanes))] = clock + cost


def noted(jobs: ProposedJobs) -> list[tuple[int, int]]:
    """Every stage that is handed out from now on: the trial, and the epochs behind it."""
    handed: list[tuple[int, int]] = []
    hand_out = jobs.next

    def next_noted() -> TrialRecord | None:
        record = hand_out()
        if record is not None:
            handed.append((record.number, len(record.epochs)))
        return record

    jobs.next = next_noted  # type: ignore[method-assign]
    return handed


def costly(record: TrialRecord, epochs: int) -> float:
    return epochs * record.parameter_count**0.5


@pytest.mark.parametrize("options", [{}, {"cost_of": costly}])
def test_each_decision_is_the_definitions(halving_spec: StudySpec, options: dict[str, Any]) -> None:
    jobs, _ = make_jobs(halving_spec, **options)
    handed = noted(jobs)
    records = by_number(drive(jobs, 2, last))
    assert handed == Definition(halving_spec, records, *options.values()).course()
    assert len([stage for stage in handed if stage[1] == 3]) >= 3
    assert len(handed) > 52


def searched(spec: StudySpec, known: Mapping[int, TrialRecord]) -> dict[int, TrialRecord]:
    """What a search makes of known trials, those that wait at its end stopped."""
    jobs, _ = make_jobs(spec, known)
    records = dict(known) | {record.number: record for record in drive(jobs, 2, first)}
    return records | {record.number: record for record in stopped(records.values())}


def test_what_is_stopped_has_no_accuracy_anywhere(halving_spec: StudySpec) -> None:
    records = searched(halving_spec, {})
    assert {record.status for record in records.values()} == {"complete", "stopped", "failed"}
    for record in records.values():
        assert record.complete == (record.status == "complete")
    front = pareto_front(list(records.values()), Objectives())
    assert front
    assert all(record.status == "complete" for record in front)
    put_aside = [record for record in records.values() if record.status == "stopped"]
    assert {len(record.epochs) for record in put_aside} <= set(RUNGS)


def test_a_finished_search_is_over_at_once(halving_spec: StudySpec) -> None:
    known = searched(halving_spec, {})
    jobs, study = make_jobs(halving_spec, known)
    assert drive(jobs, 2, first) == []
    assert stopped(known.values()) == []
    states = {trial.state for trial in study.trials}
    assert states == {TrialState.COMPLETE, TrialState.FAIL, TrialState.RUNNING}


def test_with_more_trials_those_that_were_stopped_go_on_where_they_deserve_it(
    halving_spec: StudySpec,
) -> None:
    before = searched(halving_spec, {})
    search = halving_spec.search.model_copy(update={"trials": 60})
    longer = halving_spec.model_copy(update={"search": search})
    jobs, _ = make_jobs(longer, before)
    handed = noted(jobs)
    after = before | {record.number: record for record in drive(jobs, 2, first)}
    course = Definition(longer, [after[number] for number in range(60)]).course()
    trained = {(number, 0) for number in before} | {
        (record.number, rung)
        for record in before.values()
        for rung in RUNGS
        if len(record.epochs) > rung or (record.status == "failed" and record.epochs)
    }
    assert handed == [stage for stage in course if stage not in trained]
    going = {number for number, _ in handed if number < 40}
    assert going
    assert {before[number].status for number in going} == {"stopped"}
    waiting = {record.number for record in after.values() if record.status == "stopped"}
    assert not waiting & {record.number for record in stopped(after.values())}


@pytest.mark.parametrize("cut", [3, 12, 25])
@pytest.mark.parametrize("deterministic", [True, False])
def test_trials_that_were_cut_off_go_on_from_their_checkpoints(
    halving_spec: StudySpec, cut: int, deterministic: bool
) -> None:
    """Two at a time are lost with all epochs but the last, as kept by their checkpoints."""
    whole = by_number(drive(make_jobs(halving_spec)[0], 2, first))
    running: list[TrialRecord] = []
    jobs, _ = make_jobs(halving_spec, deterministic=deterministic)
    ended = drive(jobs, 2, random.Random(cut).choice, cut, running)
    finished = {record.number: record for record in [*ended, *running]}
    assert running
    jobs, _ = make_jobs(halving_spec, finished, deterministic=deterministic)
    handed = noted(jobs)
    rest = drive(jobs, 2, first)
    assert {(each.number, len(each.epochs)) for each in running} <= set(handed)
    if deterministic:
        assert by_number([*ended, *rest]) == whole
    else:
        assert handed[: len(running)] == [
            (number, len(finished[number].epochs))
            for number in sorted(each.number for each in running)
        ]
        everything = by_number([*ended, *rest])
        assert [record.number for record in everything] == list(range(40))
        assert {record.status for record in everything} == {"complete", "paused", "failed"}


@pytest.mark.parametrize("cut", [1, 7, 25, 40])
def test_as_outcomes_come_a_search_of_one_trial_at_a_time_goes_on_as_it_would_have(
    halving_spec: StudySpec, cut: int
) -> None:
    whole = by_number(drive(make_jobs(halving_spec, deterministic=False)[0], 1, first))
    running: list[TrialRecord] = []
    ended = drive(make_jobs(halving_spec, deterministic=False)[0], 1, first, cut, running)
    finished = {record.number: record for record in [*ended, *running]}
    rest = drive(make_jobs(halving_spec, finished, deterministic=False)[0], 1, first)
    assert by_number([*ended, *rest]) == whole


def test_as_outcomes_come_each_decision_knows_all_of_them(halving_spec: StudySpec) -> None:
    """With one training at a time, each is known when the next is chosen."""
    jobs, _ = make_jobs(halving_spec, deterministic=False)
    handed = noted(jobs)
    records = by_number(drive(jobs, 1, first))
    assert handed == Definition(halving_spec, records, slack=0, margin=0).course()


def test_fewer_epochs_are_trained_and_of_each_rung_at_least_a_third_goes_on(
    halving_spec: StudySpec,
) -> None:
    """More than a third, as some that went on are overtaken later."""
    records = by_number(drive(make_jobs(halving_spec)[0], 2, first))
    trained = sum(len(record.epochs) for record in records)
    assert trained < 0.5 * 40 * EPOCHS
    for rung in RUNGS:
        beyond = sum(len(record.epochs) > rung for record in records)
        reached = sum(len(record.epochs) >= rung for record in records)
        assert beyond >= reached // 3 - 1  # one may have failed on its way


def test_by_raw_accuracy_no_average_is_taken(spec_text: str) -> None:
    records = [trial(0, 0.5, 100)]
    for score, expected in (("ema", (1, 3)), ("raw", ())):
        spec = parse_spec(spec_text, [*WORDS, f"search.scheduler.score={score}"])
        task = records[0].task
        training = task.training.model_copy(update={"epochs": EPOCHS})
        task = task.model_copy(update={"training": training})
        assert Halving(spec).averaged_after(task) == expected


def test_without_a_scheduler_every_trial_goes_on(spec_text: str) -> None:
    spec = parse_spec(spec_text, [*WORDS, "search.scheduler.name=none"])
    records = drive(make_jobs(spec)[0], 2, first)
    assert {record.status for record in records} == {"complete", "failed"}


@pytest.fixture
def halving(spec_text: str) -> Halving:
    return Halving(parse_spec(spec_text, [*WORDS, "search.scheduler.score=raw"]))


def at_first_rung(number: int, accuracy: float, size: int = 100) -> TrialRecord:
    record = trial(number, accuracy, size)
    training = record.task.training.model_copy(update={"epochs": EPOCHS})
    task = record.task.model_copy(update={"training": training})
    return record.model_copy(update={"task": task, "status": "running"})


def test_one_that_waits_goes_on_when_others_have_made_it_one_of_the_best(halving: Halving) -> None:
    best, worst = at_first_rung(0, 0.9), at_first_rung(1, 0.1)
    halving.reached(best)
    halving.reached(at_first_rung(2, 0.5))
    assert halving.next_to_go_on() is None
    halving.reached(worst)
    assert halving.next_to_go_on() == best
    assert halving.next_to_go_on() is None
    for number in range(3, 6):
        halving.reached(at_first_rung(number, 0.2))
    going = halving.next_to_go_on()
    assert going is not None
    assert going.number == 2
    assert halving.next_to_go_on() is None


def test_those_that_went_on_before_are_compared_with_and_do_not_go_on_again(
    halving: Halving,
) -> None:
    halving.reached(at_first_rung(0, 0.9), waits=False)
    for number in (1, 2, 3, 4, 5):
        halving.reached(at_first_rung(number, 0.9 - 0.1 * number))
    going = halving.next_to_go_on()
    assert going is not None
    assert going.number == 1
    assert halving.next_to_go_on() is None


@pytest.mark.parametrize("name", ["halving", "neighbours"])
def test_those_with_too_little_accuracy_go_on_after_all_others(spec_text: str, name: str) -> None:
    """The small ones would be the first of either order, as nothing dominates them."""
    words = [
        *WORDS,
        f"search.scheduler={{name: {name}, score: raw}}",
        "search.require={accuracy: 0.5}",
    ]
    halving = Halving(parse_spec(spec_text, words))
    for number, (accuracy, size) in enumerate(((0.3, 10), (0.4, 20), (0.6, 300), (0.5, 400))):
        halving.reached(at_first_rung(number, accuracy, size))
    numbers = []
    while (record := halving.next_to_go_on(anyone=True)) is not None:
        numbers.append(record.number)
    assert set(numbers[:2]) == {2, 3}
    assert set(numbers[2:]) == {0, 1}


def test_no_rung_lies_among_the_epochs_of_a_forebear(spec_text: str) -> None:
    """Two forebears of 9 epochs, then the student's own: rungs after 1 and 3 of those."""
    halving = Halving(parse_spec(spec_text, WORDS))
    record = at_first_rung(0, 0.5)
    task = record.task.model_copy(update={"teacher": BORN_AGAIN, "generations": 2})
    assert halving.rungs(task) == (18 + 1, 18 + 3)
    assert halving.until(record.model_copy(update={"task": task})) == 18 + 1
    assert halving.expected_epochs(27, EPOCHS) == pytest.approx(19 + 2 / 3 + 6 / 9)


def test_with_too_little_room_nobody_goes_on_and_with_the_rest_anyone(halving: Halving) -> None:
    for number in range(3):
        halving.reached(at_first_rung(number, 0.9 - 0.1 * number))
    assert halving.next_to_go_on(room=7) is None
    numbers = []
    while (record := halving.next_to_go_on(room=8, anyone=True)) is not None:
        numbers.append(record.number)
    assert numbers == [0, 1, 2]


def test_the_expected_epochs_count_who_reaches_each_part(spec_text: str) -> None:
    """Of 9 epochs: 1 by all, 2 by a third, 6 by a ninth."""
    halving = Halving(parse_spec(spec_text, WORDS))
    assert halving.expected_epochs(EPOCHS, EPOCHS) == pytest.approx(1 + 2 / 3 + 6 / 9)
    unbridled = Halving(parse_spec(spec_text))
    assert unbridled.expected_epochs(EPOCHS, EPOCHS) == EPOCHS
