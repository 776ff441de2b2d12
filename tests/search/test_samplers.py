"""Proposals beside plain Optuna's, and those after a resume beside those of an unbroken search."""

from __future__ import annotations

import random
from typing import Any

import optuna
import pytest
from optuna.samplers import GPSampler, NSGAIISampler, RandomSampler, TPESampler
from optuna.trial import TrialState

from kdsearch.data import derive
from kdsearch.errors import StudyError
from kdsearch.models import of_images
from kdsearch.results.objectives import Objectives
from kdsearch.results.record import TrialRecord
from kdsearch.search.loop import ProposedJobs
from kdsearch.search.proposer import Proposer
from kdsearch.search.samplers import make_sampler
from kdsearch.space.architectures import Architectures
from kdsearch.space.space import Space
from kdsearch.spec import StudySpec, parse_spec
from tests.search import halved
from tests.search.test_loop import (
    CLASSES,
    SHAPE,
    drive,
    first,
    kept,
    last,
    make_jobs,
    outcome,
    parameters,
)

SAMPLERS = ["tpe", "nsga2", "gp", "random"]


def plain_sampler(name: str, seed: int) -> optuna.samplers.BaseSampler:
    if name == "tpe":
        return TPESampler(seed=seed, multivariate=True)
    if name == "nsga2":
        return NSGAIISampler(seed=seed, population_size=20)
    if name == "gp":
        return GPSampler(seed=seed, warn_independent_sampling=False)
    return RandomSampler(seed=seed)


def plain_search(spec: StudySpec) -> list[dict[str, Any]]:
    """One trial after another by Optuna's ask and tell, as its documentation has it."""
    space, architectures = Space(spec), Architectures(of_images(SHAPE), CLASSES)
    study = optuna.create_study(directions=["maximize", "minimize"])
    for label in space.methods:
        study.enqueue_trial(space.published(label))
    found = []
    for place in range(spec.search.trials):
        seed = derive(spec.study.seed, "sampler", place, 0)
        study.sampler = plain_sampler(spec.search.sampler, seed)
        trial = study.ask()
        task = space.suggest(trial).task(spec, 0)
        size = architectures.size(task.model)
        record = outcome(
            TrialRecord(
                number=place,
                phase="search",
                task=task,
                parameter_count=size.parameters,
                macs=size.macs,
                bytes=size.bytes,
            )
        )
        if spec.search.require and record.complete:
            lack = spec.search.require["accuracy"] - record.scores["accuracy"]
            trial.set_constraint("enough", lack)
        if not record.complete:
            study.tell(trial, state=TrialState.FAIL)
        else:
            study.tell(trial, [record.scores["accuracy"], *Objectives().log_sizes(record)])
        found.append(trial.params)
    return found


@pytest.mark.parametrize(
    ("sampler", "trials"), [("tpe", 40), ("nsga2", 50), ("gp", 13), ("random", 8)]
)
@pytest.mark.parametrize("min_accuracy", [None, 0.88])
def test_proposals_are_those_of_plain_optuna(
    spec_text: str, sampler: str, trials: int, min_accuracy: float | None
) -> None:
    words = [f"search.sampler={sampler}", f"search.trials={trials}"]
    if min_accuracy is not None:
        words.append(f"search.require.accuracy={min_accuracy}")
    spec = parse_spec(spec_text, words)
    ours = drive(make_jobs(spec, deterministic=False)[0], 1, first)
    assert parameters(ours) == plain_search(spec)


def learned_from(study: optuna.Study, sampler: str) -> list[tuple[Any, ...]]:
    """What a sampler may know of a study: all but the trials that have failed."""
    nsga2 = NSGAIISampler(population_size=20)
    return [
        (
            trial.state,
            trial.params,
            trial.distributions,
            trial.values,
            trial.constraints,
            nsga2.get_trial_generation(study, trial) if sampler == "nsga2" else None,
        )
        for trial in study.trials
        if trial.state != TrialState.FAIL
    ]


def hand_out_all(jobs: ProposedJobs) -> None:
    """All that may be handed out before another outcome comes in."""
    while jobs.next() is not None:
        pass


@pytest.mark.parametrize(
    ("sampler", "stages"), [("tpe", 60), ("nsga2", 260), ("gp", 60), ("random", 60)]
)
def test_a_rebuilt_study_is_what_it_was(spec_text: str, sampler: str, stages: int) -> None:
    """With proposals that were rejected, trials that failed, wait, run, or lack accuracy."""
    words = [
        *halved.WORDS,
        "search.trials=400",
        "search.scheduler.reduction=1.5",
        f"search.sampler={sampler}",
        "search.require={accuracy: 0.85}",
        "search.max_parameters=3500",
    ]
    spec = parse_spec(spec_text, words)
    jobs, study = make_jobs(spec)
    running: list[TrialRecord] = []
    ended = halved.drive(jobs, 2, last, stages, running)
    known = {record.number: record for record in [*ended, *running]}
    assert {record.status for record in known.values()} >= {"paused", "complete", "failed"}
    again, rebuilt = make_jobs(spec, known)
    hand_out_all(jobs)
    hand_out_all(again)
    learned = learned_from(rebuilt, sampler)
    assert learned == learned_from(study, sampler)
    assert sampler != "nsga2" or max(each[-1] for each in learned) >= 2
    drawn = len(study.trials) - len(learned)
    assert drawn > 1.2 * len(rebuilt.trials), "no proposal was rejected"
    constrained = [each.constraints["accuracy"] for each in rebuilt.trials if each.values]
    assert min(constrained) < 0 < max(constrained)


@pytest.mark.parametrize("seed", range(2))
def test_as_outcomes_come_the_generations_after_a_resume_are_those_that_were(
    spec_text: str, seed: int
) -> None:
    """Of eight workers, so that trials of one generation are begun long before they end."""
    words = [*halved.WORDS, "search.sampler=nsga2", "search.scheduler.reduction=1.5"]
    spec = parse_spec(spec_text, [*words, "search.trials=150"])
    jobs, study = make_jobs(spec, deterministic=False)
    history: list[TrialRecord] = []
    hand_out, take_in = jobs.next, jobs.ended

    def next_noted() -> TrialRecord | None:
        record = hand_out()
        if record is not None and not record.epochs:
            history.append(kept(record))
        return record

    def ended_noted(record: TrialRecord) -> None:
        history.append(kept(record))
        take_in(record)

    jobs.next, jobs.ended = next_noted, ended_noted  # type: ignore[method-assign]
    halved.drive(jobs, 8, random.Random(seed).choice, 220)
    hand_out_all(jobs)
    known = {record.number: record for record in history}
    _, rebuilt = make_jobs(spec, known, deterministic=False, history=history)
    learned = learned_from(rebuilt, "nsga2")
    assert max(each[-1] for each in learned) >= 2
    assert learned == learned_from(study, "nsga2")[: len(learned)]


@pytest.mark.parametrize(("sampler", "trials"), [("tpe", 25), ("nsga2", 60), ("gp", 12)])
def test_a_search_that_was_cut_off_is_proposed_what_it_would_have_been(
    spec_text: str, sampler: str, trials: int
) -> None:
    words = [f"search.sampler={sampler}", f"search.trials={trials}", "search.max_parameters=4000"]
    spec = parse_spec(spec_text, [*words, "search.require={accuracy: 0.85}"])
    whole = parameters(drive(make_jobs(spec)[0], 2, first))
    ended = drive(make_jobs(spec)[0], 2, last, stop_after=trials - 4)
    rest = drive(make_jobs(spec, {record.number: record for record in ended})[0], 2, first)
    assert parameters([*ended, *rest]) == whole


def test_known_trials_cost_no_sampling(spec_text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = parse_spec(spec_text, ["search.trials=25"])
    ended = {record.number: record for record in drive(make_jobs(spec)[0], 2, first)}
    jobs, study = make_jobs(spec, ended)

    def refuse(*_: object) -> None:
        raise AssertionError("the sampler was asked")

    for name in ("sample_relative", "sample_independent"):
        monkeypatch.setattr(TPESampler, name, refuse)
    assert drive(jobs, 2, first) == []
    assert [trial.params for trial in study.trials] == parameters(list(ended.values()))


def test_a_known_trial_that_the_space_does_not_hold_is_refused(spec_text: str) -> None:
    record = drive(make_jobs(parse_spec(spec_text))[0], 1, first)[1]
    spec = parse_spec(spec_text, ["methods.kd.weight=0.5"])
    assert "kd.weight" in record.parameters
    proposer = Proposer(
        Space(spec), Architectures(of_images(SHAPE), CLASSES), known={1: kept(record)}
    )
    with pytest.raises(StudyError, match="trial 1 has other parameters than the spec searches"):
        proposer.record(1)


def test_under_a_scheduler_tpe_learns_from_fewer_trials() -> None:
    """Told four trials, it proposes near the good ones, of which those at 0.9 are none."""
    found = {}
    for halved_too in (False, True):
        study = optuna.create_study(directions=["maximize", "minimize"])
        for x in (0.1, 0.11, 0.9, 0.91):
            study.sampler = make_sampler("random", 0)
            study.enqueue_trial({"x": x})
            trial = study.ask()
            study.tell(trial, [-trial.suggest_float("x", 0, 1), 1.0])
        study.sampler = make_sampler("tpe", 5, halved_too)
        found[halved_too] = study.ask().suggest_float("x", 0, 1)
    drawn = RandomSampler(seed=5)
    study = optuna.create_study(sampler=drawn)
    assert found[False] == study.ask().suggest_float("x", 0, 1)
    assert found[True] != found[False]


@pytest.mark.parametrize("name", SAMPLERS)
def test_each_name_is_its_sampler(name: str) -> None:
    assert type(make_sampler(name, 1)) is type(plain_sampler(name, 1))
