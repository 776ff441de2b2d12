"""Ladders of made-up trainings: settings first, then chains of sizes, at any speed alike."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Iterable
from functools import cache
from itertools import pairwise
from pathlib import Path
from tempfile import gettempdir

import pytest

from kdsearch.results.record import TrialRecord
from kdsearch.search.ladder import LadderJobs
from kdsearch.search.strand import STRIDE
from kdsearch.search.strategies import Before, search_jobs
from kdsearch.space.checks import Plan, make_plan
from kdsearch.spec import StudySpec, parse_spec
from kdsearch.training.programs import total_epochs
from tests.search.halved import Pick, by_number
from tests.search.test_loop import drive, first, kept, last

EPOCHS, SHORT, TRIALS, CONCURRENT = 9, 3, 16, 2

TEXT = """
study: {{name: rising, seed: 3, directory: {directory}}}
data: {{source: digits, validation: 0.2, test: 0.25, limit: 200}}
teacher:
  model: {{family: convnet, width: 1, depth: 2}}
students:
  - {{family: convnet, width: {{low: 0.1, high: 1.0, log: true}}, depth: {{choices: [1, 2, 3]}}}}
  - {{family: mlp, width: {{low: 0.1, high: 0.5, log: true}}, depth: 1}}
methods: [none, kd, ab]
training: {{epochs: 9, lr: {{low: 0.02, high: 0.2, log: true}}}}
search:
  strategy: ladder
  trials: 16
  ladder: {{round: 15}}
  scheduler: {{name: halving, rungs: [0.34]}}
  max_parameters: 20000
resources: {{concurrent: 2}}
tracking: {{uri: "sqlite:///{directory}/mlflow.db"}}
"""


def spec_of(*given: str) -> StudySpec:
    return parse_spec(TEXT.format(directory=Path(gettempdir()) / "rising"), given)


@pytest.fixture
def rising() -> StudySpec:
    return spec_of()


@cache
def plan_of(*given: str) -> Plan:
    """The checked study, with other settings; no test changes it."""
    return make_plan(spec_of(*given))


def jobs_of(
    *given: str, known: Iterable[TrialRecord] = (), deterministic: bool = True
) -> LadderJobs:
    before = {record.number: kept(record) for record in known}
    told = Before(
        before, before, None if deterministic else list(before.values()), 0.0, print, list
    )
    jobs = search_jobs(plan_of(*given), told, deterministic)
    assert isinstance(jobs, LadderJobs)
    return jobs


def advance(jobs: LadderJobs, record: TrialRecord) -> TrialRecord:
    """A training one epoch on; it is better the larger it is and the nearer its rate to 0.05.

    Every 11th fails.
    """
    if record.number % 11 == 10:
        return record.model_copy(update={"status": "failed", "reason": "made up"})
    until = jobs.stage(record).until
    epoch, whole = len(record.epochs) + 1, total_epochs(record.task)
    final = 1 - record.parameter_count**-0.4 - abs(record.task.training.lr - 0.05)
    score = final * math.sqrt(epoch / whole)
    report = {"epoch": epoch, "seconds": 1.0, "accuracy": score, "averaged_accuracy": score}
    record = record.model_copy(update={"epochs": (*record.epochs, report)})
    if epoch == whole:
        return record.model_copy(update={"status": "complete"})
    return record.model_copy(update={"status": "paused"}) if epoch == until else record


def climb(
    jobs: LadderJobs, pick: Pick = first, cut: int | None = None, at_a_time: int = CONCURRENT
) -> list[TrialRecord]:
    """The trainings as they ended, or came to a rung; cut off, those on their way last."""
    running: list[TrialRecord] = []
    ended = drive(jobs, at_a_time, pick, cut, advance, running)  # type: ignore[arg-type]
    # a training is in the journal from when it is handed out, with the epochs that were saved
    known = {each.number for each in ended}
    begun = [each for each in running if each.number not in known]
    return [*ended, *(each.model_copy(update={"epochs": ()}) for each in begun)]


@pytest.fixture(scope="module")
def whole() -> list[TrialRecord]:
    return by_number(climb(jobs_of()))


def part(records: Iterable[TrialRecord], name: str) -> list[TrialRecord]:
    return [record for record in records if record.ladder == name]


def test_settings_are_searched_on_one_student_of_each_entry(
    rising: StudySpec, whole: list[TrialRecord]
) -> None:
    settings = part(whole, "settings")
    models = {
        (each.task.model.family, each.task.model.width, each.task.model.depth) for each in settings
    }
    assert Counter(family for family, _, _ in models) == {"convnet": 1, "mlp": 1}
    assert {each.task.method.label for each in settings} == {"none", "kd", "ab"}
    assert {each.task.training.epochs for each in settings} == {SHORT}
    # what the chains leave goes to the settings again
    epochs = sum(len(each.epochs) for each in settings)
    assert epochs <= rising.search.ladder.settings * TRIALS * EPOCHS + EPOCHS


def test_each_method_is_first_tried_with_its_published_values_and_the_usual_rate() -> None:
    given = "search.scheduler.name=none", "methods=[none, kd]"
    first_two = by_number(climb(jobs_of(*given)))[:2]
    assert [each.task.method.label for each in first_two] == ["none", "kd"]
    usual = type(spec_of().training).model_fields["lr"].default
    assert [each.task.training.lr for each in first_two] == [usual, usual]


def test_each_link_is_cut_from_a_wider_student(rising: StudySpec, whole: list[TrialRecord]) -> None:
    by_key = {each.task.key: each for each in whole}
    links = part(whole, "links")
    assert links
    for link in links:
        assert link.task.parent is not None
        parent = by_key[link.task.parent.key]
        assert parent.complete
        assert parent.ladder in ("heads", "links")
        assert link.task.parent.epochs == parent.task.lineage_epochs
        assert link.parameter_count < parent.parameter_count
        ratio = parent.task.model.width / link.task.model.width
        assert 1 < ratio <= rising.search.ladder.factor**STRIDE + 1e-9
        same = {"width": 0, "importance": 0}
        assert link.task.model.model_copy(update=same) == parent.task.model.model_copy(update=same)
        assert link.task.method == parent.task.method
        assert link.task.training.lr == parent.task.training.lr
        assert link.task.training.epochs == SHORT
    for head in part(whole, "heads"):
        assert head.task.parent is None
        assert head.task.training.epochs == EPOCHS
    numbers = [each.number for each in whole]
    assert numbers == list(range(len(numbers)))
    spent = sum(len(each.epochs) for each in whole)
    assert 0.8 * TRIALS * EPOCHS < spent <= TRIALS * EPOCHS


def test_chains_begin_in_the_middle_with_the_best_settings(
    whole: list[TrialRecord],
) -> None:
    complete = [each for each in part(whole, "settings") if each.complete]
    best = min(
        abs(each.task.training.lr - 0.05)
        for each in complete
        if each.task.model.family == "convnet" and each.task.method.label != "ab"
    )
    own = [
        each
        for each in part(whole, "heads")
        if each.task.model.family == "convnet" and each.task.method.label != "ab"
    ]
    firsts = {each.task.model.depth: each for each in reversed(own)}
    assert set(firsts) == {1, 2, 3}
    for chain in plan_of().chains:
        if chain.student == "convnet":
            middle = chain.widths[len(chain.widths) // 2]
            assert firsts[chain.depth].task.model.width == middle == chain.widths[chain.middle]
    assert {abs(each.task.training.lr - 0.05) for each in firsts.values()} == {best}
    assert max(each.parameter_count for each in whole) <= 20_000
    ends = {chain.widths[place] for chain in plan_of().chains for place in (0, chain.middle)}
    assert {each.task.model.width for each in part(whole, "heads")} <= ends


@pytest.mark.parametrize(
    "given", ["methods=[ab]", "methods=[kd] teaching={by:[born_again]}"], ids=["ab", "born_again"]
)
def test_what_cannot_be_cut_is_trained_in_full_size_by_size(given: str) -> None:
    whole = by_number(climb(jobs_of(*given.split(), "search.trials=40")))
    assert {each.task.method.label for each in part(whole, "links")} == {"none"}
    own = [each for each in part(whole, "heads") if each.task.method.label != "none"]
    # more sizes than the one in the middle and the widest, each trained from scratch and in full
    by_chain = Counter((each.task.model.family, each.task.model.depth) for each in own)
    assert max(by_chain.values()) > 2
    for each in own:
        assert each.task.parent is None
        assert each.task.training.epochs == EPOCHS
        assert not each.complete or len(each.epochs) == total_epochs(each.task)
    assert sum(len(each.epochs) for each in whole) <= 40 * EPOCHS


def test_links_keep_channels_by_the_importance_of_their_entry() -> None:
    own = "{family: convnet, width: {low: 0.1, high: 1.0}, depth: 2, importance: bn_scale}"
    whole = climb(jobs_of(f"students=[{own}]"))
    assert {each.task.model.importance for each in part(whole, "links")} == {"bn_scale"}


def test_settings_that_were_tried_twice_count_by_the_better_try() -> None:
    # one rate alone: every trial of a method trains the same, and most wait at the rung
    given = "training.lr=0.05", "methods=[none]", "students=[{family: convnet, width: "
    width = "{low: 0.1, high: 1.0, log: true}, depth: 2}]"
    whole = by_number(climb(jobs_of(*given[:2], given[2] + width)))
    settings = part(whole, "settings")
    assert len({each.task.key for each in settings}) == 1
    assert len(settings) > 3
    keys = [each.task.key for each in part(whole, "heads")]
    assert len(keys) == len(set(keys))
    spent = sum(len(each.epochs) for each in whole)
    assert spent > (TRIALS - 1) * EPOCHS or part(whole, "links")


def test_nothing_is_cut_from_a_student_that_misses_a_bound() -> None:
    bound = 0.9
    whole = by_number(climb(jobs_of(f"search.require={{accuracy: {bound}}}", "methods=[none]")))
    by_key = {each.task.key: each for each in whole}
    links = part(whole, "links")
    assert links
    parents = [by_key[each.task.parent.key] for each in links if each.task.parent]
    assert min(each.scores["accuracy"] for each in parents) >= bound
    free = part(by_number(climb(jobs_of("methods=[none]"))), "links")
    assert min(each.parameter_count for each in free) < min(each.parameter_count for each in links)


def test_without_chains_each_student_is_trained_in_full() -> None:
    given = "search.ladder.chains=false", "search.trials=30"
    whole = by_number(climb(jobs_of(*given)))
    assert {each.ladder for each in whole} == {"settings", "heads"}
    assert {each.task.training.epochs for each in part(whole, "heads")} == {EPOCHS}
    assert len({each.task.model.width for each in part(whole, "heads")}) > 6
    assert all(each.task.parent is None for each in whole)


@pytest.mark.parametrize("trials", [1, 2, 5])
def test_a_short_search_has_settings_too(trials: int) -> None:
    given = f"search.trials={trials}", "search.ladder.settings=0.1", "search.scheduler.name=none"
    whole = by_number(climb(jobs_of(*given)))
    share = max(round(0.1 * trials * EPOCHS), SHORT)
    assert len(part(whole, "settings")) >= share // SHORT
    assert bool(part(whole, "heads")) == (trials > 1)
    assert sum(len(each.epochs) for each in whole) <= trials * EPOCHS


def test_rounds_go_on_with_the_settings() -> None:
    given = "search.ladder.round=10", "search.trials=30"
    whole = by_number(climb(jobs_of(*given)))
    parts = [each.ladder == "settings" for each in whole]
    turns = sum(a != b for a, b in pairwise(parts))
    assert turns == 5  # settings and chains of three rounds: up to 10, 20 and 30 trainings
    assert [each.number for each in whole] == list(range(len(whole)))
    assert sum(len(each.epochs) for each in whole) <= 30 * EPOCHS
    ended = climb(jobs_of(*given), last, cut=40)
    latest = {record.number: record for record in ended}
    rest = climb(jobs_of(*given, known=latest.values()))
    assert by_number([*ended, *rest]) == whole


def test_one_that_fails_ends_its_chain_alone(whole: list[TrialRecord]) -> None:
    failed = [each for each in whole if each.status == "failed" and each.ladder != "settings"]
    assert failed
    parents = {each.task.parent.key for each in whole if each.task.parent}
    assert not parents & {each.task.key for each in failed}


def test_the_order_in_which_epochs_end_changes_no_decision(
    whole: list[TrialRecord],
) -> None:
    shuffled = random.Random(0)
    orders: list[tuple[int, Pick]] = [(1, first), (2, last), (2, shuffled.choice)]
    for count, pick in orders:
        assert by_number(climb(jobs_of(), pick, at_a_time=count)) == whole


@pytest.mark.parametrize("cut", [2, 9, 14, 20, 26])
@pytest.mark.parametrize("deterministic", [True, False])
def test_one_that_was_cut_off_goes_on(
    whole: list[TrialRecord], cut: int, deterministic: bool
) -> None:
    ended = climb(jobs_of(), last, cut)
    latest = {record.number: record for record in ended}
    rest = climb(jobs_of(known=latest.values(), deterministic=deterministic))
    records = by_number([*ended, *rest])
    stages = [each for each in [*ended, *rest] if each.status != "running"]
    trained = [(each.number, len(each.epochs)) for each in stages]
    assert len(trained) == len(set(trained)), "a stage was trained twice"
    if deterministic:
        assert records == whole
    spent = sum(len(each.epochs) for each in records)
    assert spent <= TRIALS * EPOCHS
    assert part(records, "links")


def test_one_that_is_given_more_trials_trains_nothing_twice(whole: list[TrialRecord]) -> None:
    """Its first round may be another, which takes what it needs of the trials that are there."""
    more = climb(jobs_of("search.trials=40", known=whole))
    epochs = {each.number: len(each.epochs) for each in whole}
    keys = {each.task.key: each.number for each in whole}
    last_ones = {each.number: each for each in more}
    assert part(last_ones.values(), "links")
    for each in last_ones.values():
        assert keys.get(each.task.key, each.number) == each.number
        assert len(each.epochs) > epochs.get(each.number, 0) or each.status == "failed"
    assert sum(len(each.epochs) for each in last_ones.values()) <= 40 * EPOCHS


def test_failed_trials_that_are_tried_again_keep_their_numbers(whole: list[TrialRecord]) -> None:
    known = {each.number: kept(each) for each in whole}
    finished = {number: each for number, each in known.items() if each.status != "failed"}
    again = {each.task.key: each.number for each in whole if each.status == "failed"}
    assert again
    jobs = search_jobs(plan_of(), Before(known, finished, None, 0.0, print, list), True)
    assert isinstance(jobs, LadderJobs)
    tried = [each for each in climb(jobs) if each.task.key in again]
    assert tried
    for each in tried:
        assert each.number == again[each.task.key]
