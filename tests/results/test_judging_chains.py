"""Members of a front that a ladder cut from wider students: judged from scratch and in chains."""

from __future__ import annotations

from collections.abc import Collection

import pandas as pd
import pytest

from kdsearch.results.finalists import Finalist
from kdsearch.results.judging import Judging
from kdsearch.results.objectives import Objectives
from kdsearch.results.record import TrialRecord
from kdsearch.results.tables import front_table
from kdsearch.search.judging_jobs import JudgingJobs
from kdsearch.spec import StudySpec
from kdsearch.training.lineage import parent_of
from tests.results.judged import (
    BLUEPRINTS,
    EPOCHS,
    SEARCHED,
    by_task,
    distilled,
    epochs_alone,
    run_all,
    spec_of,
)

LINK = 3
WIDTHS = (0.8, 0.5, 0.3)


@pytest.fixture
def spec(spec_text: str) -> StudySpec:
    return spec_of(spec_text, "search.strategy=ladder")


def chain() -> list[TrialRecord]:
    """A head of a chain and two links, as a search has left them."""
    found: list[TrialRecord] = []
    for number, width in enumerate(WIDTHS):
        record = distilled(number, 0.9 - 0.1 * number, 30 - 10 * number, width, 0.03)
        task = record.task
        if found:
            short = task.training.model_copy(update={"epochs": LINK})
            task = task.model_copy(update={"training": short, "parent": parent_of(found[-1].task)})
        part = "links" if found else "heads"
        found.append(record.model_copy(update={"task": task, "ladder": part}))
    return found


def judge(
    spec: StudySpec, members: list[TrialRecord], failing: Collection[str] = (), **run: object
) -> tuple[Judging, dict[str, TrialRecord], list[Finalist]]:
    searched = [*SEARCHED, *chain()]
    judging = Judging(spec, members, searched, {})
    known = by_task(run_all(JudgingJobs(judging, {}, BLUEPRINTS), failing=failing, **run))  # type: ignore[arg-type]
    return judging, known, judging.finalists(known)


def test_a_link_is_trained_from_scratch_and_in_a_chain_of_its_own_for_each_seed(
    spec: StudySpec,
) -> None:
    *_, member = chain()
    judging, known, (finalist,) = judge(spec, [member])
    seeds = spec.finalists.seeds
    assert len(known) == judging.total
    ways = {finalist.start: finalist.runs, "other": finalist.other}
    assert {len(runs) for runs in ways.values()} == {seeds}
    own = {each.task.parent is None: each.task for runs in ways.values() for each in runs}
    assert own[True].training.epochs == EPOCHS
    assert own[False].training.epochs == LINK
    assert own[False].lineage_epochs == EPOCHS + 2 * LINK
    assert own[True].model == own[False].model == member.task.model
    for runs in ways.values():
        assert len({each.task.seed for each in runs}) == seeds
    for run in (each for runs in ways.values() for each in runs if each.task.parent):
        widths, task = [run.task.model.width], run.task
        while task.parent is not None:
            before = known[task.parent.key]
            assert before.task.seed == run.task.seed
            assert before.phase == "chains"
            assert before.test is None
            task = before.task
            widths.append(task.model.width)
        assert tuple(reversed(widths)) == WIDTHS


def test_the_baseline_has_chains_too(spec: StudySpec) -> None:
    *_, member = chain()
    _, known, (finalist,) = judge(spec, [member])
    alone = [each for each in known.values() if each.task.method.label == "none"]
    chains = [each for each in alone if each.phase == "chains"]
    assert {each.task.model.width for each in chains} == set(WIDTHS[:-1])
    ends = [each for each in alone if each.phase == "finalists"]
    assert len(ends) == 2 * spec.finalists.seeds
    # all of a chain have what the sweep found best, and which way is better validation tells
    assert len({each.task.training.lr for each in [*chains, *ends]}) == 1
    best = max(ends, key=lambda each: each.scores["accuracy"])
    assert finalist.baseline[0].task.parent == best.task.parent
    assert {each.task.method.label for each in finalist.baseline} == {"none"}


def test_no_training_begins_before_the_one_that_it_goes_on_from_has_ended(
    spec: StudySpec,
) -> None:
    *_, member = chain()
    searched = [*SEARCHED, *chain()]
    for at_a_time, latest_first in ((1, True), (4, True), (40, False)):
        jobs = JudgingJobs(Judging(spec, [member], searched, {}), {}, BLUEPRINTS)
        ended: list[str] = []
        for record in run_all(jobs, at_a_time, latest_first):
            parent = record.task.parent
            assert parent is None or parent.key in ended
            assert jobs.keeps(record) == (record.phase == "chains")
            if record.ended:
                ended.append(record.task.key)


def test_members_of_one_chain_share_what_they_go_on_from(spec: StudySpec) -> None:
    head, middle, last = chain()
    judging, known, finalists = judge(spec, [head, middle, last])
    seeds = spec.finalists.seeds
    assert judging.total >= len(known)
    own = [each for each in known.values() if each.task.method.label == "kd"]
    # heads, middle and last in the chain, and middle and last from scratch
    assert len(own) == 5 * seeds
    assert not [each for each in own if each.phase == "chains"]
    assert [each.other == () for each in finalists] == [True, False, False]


def test_a_chain_that_breaks_leaves_the_trainings_from_scratch(spec: StudySpec) -> None:
    *_, member = chain()
    judging, known, _ = judge(spec, [member])
    heads = {k for k, each in known.items() if each.phase == "chains" and not each.task.parent}
    _, broken, (finalist,) = judge(spec, [member], failing=heads)
    assert finalist.start == "scratch"
    assert len(finalist.runs) == spec.finalists.seeds
    assert finalist.other == ()
    assert not [each for each in broken.values() if each.task.parent]
    assert len(broken) < judging.total


@pytest.mark.parametrize("stop", [3, 15, 22, 30, 40])
def test_judging_that_was_cut_off_goes_on(spec: StudySpec, stop: int) -> None:
    *_, member = chain()
    searched = [*SEARCHED, *chain()]
    whole = by_task(run_all(JudgingJobs(Judging(spec, [member], searched, {}), {}, BLUEPRINTS)))
    first = by_task(
        run_all(JudgingJobs(Judging(spec, [member], searched, {}), {}, BLUEPRINTS), stop=stop)
    )
    judging = Judging(spec, [member], searched, first)
    rest = by_task(run_all(JudgingJobs(judging, first, BLUEPRINTS)))
    assert {key: each.number for key, each in (first | rest).items()} == {
        key: each.number for key, each in whole.items()
    }
    assert {key: each.epochs for key, each in (first | rest).items()} == {
        key: each.epochs for key, each in whole.items()
    }


def test_the_cost_of_both_ways_counts(spec: StudySpec) -> None:
    *_, member = chain()
    judging, known, _ = judge(spec, [member])
    spent = sum(len(each.epochs) for each in known.values())
    assert judging.cost(epochs_alone) == spent


def test_the_table_tells_both_ways(spec: StudySpec) -> None:
    head, *_, member = chain()
    _, _, finalists = judge(spec, [head, member])
    table = front_table(finalists, Objectives.of(spec), {0, 2})
    rows = {row["trial"]: row for row in table.to_dict("records")}
    finalist = next(each for each in finalists if each.trial.number == 2)
    row = rows[2]
    assert {row["start"], row["other_start"]} == {"scratch", "chain"}
    lengths = {"scratch": EPOCHS, "chain": EPOCHS + 2 * LINK}
    assert row["lineage_epochs"] == lengths[row["start"]]
    assert row["other_lineage_epochs"] == lengths[row["other_start"]]
    assert row["mean_validation_accuracy"] >= row["other_mean_validation_accuracy"]
    mean = sum(run.test["accuracy"] for run in finalist.other) / len(finalist.other)  # type: ignore[index]
    assert row["other_test_accuracy"] == pytest.approx(mean)
    assert rows[0]["start"] == "scratch"
    assert pd.isna(rows[0]["other_start"])
