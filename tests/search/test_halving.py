"""Who goes on at a rung: decided by the definition, and told as what it is."""

from __future__ import annotations

from typing import Any

import pytest

from kdsearch.results.front import pareto_front
from kdsearch.results.objectives import Objectives
from kdsearch.results.record import TrialRecord
from kdsearch.search.halving import Halving, expected_epochs, trials_of_settings
from kdsearch.space.space import Space
from kdsearch.spec import StudySpec, parse_spec
from kdsearch.spec.teaching import BORN_AGAIN
from kdsearch.ways import way_configs
from tests.records import trial
from tests.search.halved import EPOCHS, RUNGS, WORDS, Definition, by_number, drive, noted, searched
from tests.search.test_loop import first, last, make_jobs


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


def test_rungs_of_a_short_last_stage_compare_at_their_own_fractions(spec_text: str) -> None:
    """After two cuts it has 3 of 9 epochs: both rungs would be after 1, which is a third."""
    halving = Halving(parse_spec(spec_text, [*WORDS, "search.scheduler.score=raw"]))
    plain = at_first_rung(0, 0.9)
    assert halving.rungs(plain.task) == (1, 3)
    ways = way_configs("prune", {"cuts": 2.0, "wide": 0.4})
    model = plain.task.model.model_copy(update={"ways": ways})
    pruned = plain.model_copy(
        update={
            "number": 1,
            "task": plain.task.model_copy(update={"model": model}),
            "epochs": plain.epochs * 7,
        }
    )
    assert halving.rungs(pruned.task) == (7,)
    third = plain.model_copy(update={"number": 2, "epochs": plain.epochs * 3})
    for record in (third, third.model_copy(update={"number": 3})):
        halving.reached(record)
    halving.reached(pruned)  # the third of that rung, of which one may go on
    assert halving.next_to_go_on() is not None
    halving.reached(plain)  # alone at its own
    assert halving.next_to_go_on() is None


def test_with_too_little_room_nobody_goes_on_and_with_the_rest_anyone(halving: Halving) -> None:
    for number in range(3):
        halving.reached(at_first_rung(number, 0.9 - 0.1 * number))
    assert halving.next_to_go_on(room=7) is None
    numbers = []
    while (record := halving.next_to_go_on(room=8, anyone=True)) is not None:
        numbers.append(record.number)
    assert numbers == [0, 1, 2]


def test_a_ladder_has_trials_of_settings_for_their_share_of_the_epochs(spec_text: str) -> None:
    """40 % of 8 times 9 epochs, 20 % of the other 22 times 9; a trial is of 3, of which two thirds
    pause after the first."""
    words = [*WORDS, "search.trials=30"]
    assert trials_of_settings(parse_spec(spec_text, words)) == 30
    ladder = parse_spec(spec_text, [*words, "search.strategy=ladder"])
    assert trials_of_settings(ladder) == pytest.approx((28.8 + 39.6) / (1 + 2 / 3))


def test_the_expected_epochs_count_who_reaches_each_part(spec_text: str) -> None:
    """Of 9 epochs: 1 by all, 2 by a third, 6 by a ninth."""
    halving = Halving(parse_spec(spec_text, WORDS))
    assert halving.expected_epochs(EPOCHS, EPOCHS) == pytest.approx(1 + 2 / 3 + 6 / 9)
    unbridled = Halving(parse_spec(spec_text))
    assert unbridled.expected_epochs(EPOCHS, EPOCHS) == EPOCHS


def test_students_that_are_cut_pause_at_rungs_of_their_last_stage(spec_text: str) -> None:
    """Of 9 epochs 4 are of a wider network, which pauses nowhere; of the other 5 after 1 and 2."""
    words = [*WORDS, "ways=[none, prune, quantize]", "search.trials=30"]
    plain = 1 + 2 / 3 + 6 / 9
    pruned = 5 + 1 / 3 + 3 / 9
    expected = 30 * (2 * plain + pruned) / 3
    assert expected_epochs(Space(parse_spec(spec_text, words))) == pytest.approx(expected)
