"""Studies of many trials, whose scores are made up: what a page shows at its real size."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import optuna

from kdsearch.execution.jobs import NoMoreJobs
from kdsearch.models import of_images
from kdsearch.problems import Problem, error_name, find_metric
from kdsearch.results.directory import StudyDirectory
from kdsearch.results.judging import Judging
from kdsearch.results.record import TrialRecord
from kdsearch.results.resume import DataFacts, Inputs
from kdsearch.results.study import Study
from kdsearch.search.judging_jobs import JudgingJobs
from kdsearch.space.architectures import Architectures
from kdsearch.space.sizes import sized_record
from kdsearch.space.space import Space
from kdsearch.spec import StudySpec, parse_spec
from kdsearch.spec.teaching import TEACHER

CLASSES = """
study: {{name: {name}, seed: 3, directory: {directory}}}
data: {{source: digits}}
teacher: {{model: {{family: convnet, width: 2, depth: 3}}}}
students:
  - {{family: convnet, width: {{low: 0.15, high: 1.5, log: true}}, depth: {{choices: [2, 3]}}}}
  - {{family: mlp, width: {{low: 0.1, high: 0.5, log: true}}, depth: {{choices: [1, 2]}}}}
methods: [none, kd, dkd, dist, kd+fitnet]
training: {{epochs: 9, lr: {{low: 0.02, high: 0.3, log: true}}}}
search: {{trials: 60, scheduler: {{name: halving, score: raw}}}}
finalists: {{seeds: 3, max: 4}}
"""

TASKS = """
study: {{name: {name}, seed: 3, directory: {directory}}}
data: {{source: digits}}
problem:
  tasks:
    digit: class
    ink: {{kind: value, weight: {{low: 0.1, high: 3, log: true}}}}
teacher: {{model: {{family: convnet, width: 2, depth: 3}}}}
students:
  - {{family: convnet, width: {{low: 0.15, high: 1.5, log: true}}, depth: {{choices: [2, 3]}}}}
methods: [none, kd, mse_logits]
training: {{epochs: 9, lr: {{low: 0.02, high: 0.3, log: true}}}}
search:
  {{trials: 60, objective: ink/mae, size: [macs, parameters], scheduler: {{score: raw}}}}
finalists: {{seeds: 3, max: 4}}
"""

SCORES = TASKS.replace(
    "objective: ink/mae, size: [macs, parameters]",
    "objective: [ink/mae, digit/accuracy], size: macs",
)
"""Two scores are weighed, so that the front is more than a line of one of them against size."""


def make_study(folder: Path, text: str, name: str = "made", fingerprint: str = "f" * 64) -> Study:
    """A finished study of 60 trials: larger students are better, distilled ones too.

    Every tenth trial has failed; under a scheduler every second is paused after its first epoch
    and stopped there, and the others go on after it.
    """
    spec = parse_spec(text.format(directory=folder, name=name))
    directory = StudyDirectory.of(spec)
    data = DataFacts(
        name="digits",
        fingerprint=fingerprint,
        train=1078,
        validation=270,
        inputs={"image": (1, 8, 8)},
    )
    directory.create(spec, Inputs(id=name, data=data, checkpoints={}))
    problem = Problem.of(spec)
    sizes = {"parameters": 94_186, "macs": 609_536, "bytes": 378_560}
    best = {name: _score(name, 1e6, 0.0, 0.0) for name in problem.names}
    directory.update(
        state="finished",
        phase="done",
        data=data.model_dump(),
        teachers={TEACHER: {"size": sizes}},
        compared={"keys": [], "test": best, "validation": best},
        worst_losses={"ink/mae": 4.0},
    )
    known = Architectures(of_images((1, 8, 8)), 11 if problem.several else 10)
    records = _searched(spec, directory, known)
    _judged(Study(directory), records, known)
    return Study.open(directory.path)


def _searched(
    spec: StudySpec, directory: StudyDirectory, known: Architectures
) -> list[TrialRecord]:
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    sampler = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    space, records = Space(spec), []
    for number in range(spec.search.trials):
        asked = sampler.ask()
        task = space.suggest(asked).task(spec, 0)
        record = sized_record(known, spec, number, "search", task, asked.params)
        status, epochs = "complete", spec.training.epochs
        if spec.search.scheduler.name != "none":
            directory.trials.append(_trained(record, spec, "paused", 1))
            if number % 2:
                status, epochs = "stopped", 1
        if number % 10 == 9:
            status, epochs = "failed", 2
        records.append(_trained(record, spec, status, epochs))
        directory.trials.append(records[-1])
    optuna.logging.set_verbosity(verbosity)
    return records


def _judged(study: Study, records: list[TrialRecord], known: Architectures) -> None:
    chosen = study.chosen()
    jobs = JudgingJobs(Judging(study.spec, chosen, records, {}), {}, known)
    for record in iter(partial(_next, jobs), None):
        ended = _trained(record, study.spec, "complete", record.task.training.epochs)
        if record.phase == "finalists":
            ended = ended.model_copy(update={"test": dict(_scores(record, study.spec, 1.0))})
        study.directory.finalists.append(ended)
        jobs.ended(ended)


def _next(jobs: JudgingJobs) -> TrialRecord | None:
    try:
        return jobs.next()
    except NoMoreJobs:
        return None


def _trained(record: TrialRecord, spec: StudySpec, status: str, epochs: int) -> TrialRecord:
    reports = tuple(
        {"epoch": float(epoch), "loss": 2.0 / epoch, "lr": 0.1, "seconds": 1.0}
        | _scores(record, spec, epoch / spec.training.epochs)
        for epoch in range(1, epochs + 1)
    )
    reason = "the loss became nan in epoch 3" if status == "failed" else None
    return record.model_copy(update={"status": status, "epochs": reports, "reason": reason})


def _scores(record: TrialRecord, spec: StudySpec, done: float) -> dict[str, float]:
    draws = np.random.default_rng((record.number, record.task.seed % 1000, int(100 * done)))
    distilled = 0.3 if record.task.method.label != "none" else 0.0
    scores = {}
    for name in Problem.of(spec).names:
        scores[name] = _score(name, record.macs * done, distilled, 0.1 * draws.normal())
        scores[error_name(name)] = 0.01
    return scores


def _score(name: str, macs: float, distilled: float, noise: float) -> float:
    """A score that is the nearer to the best the larger the student is."""
    metric = find_metric(name)
    loss = float(np.clip(np.exp(-np.log(max(macs, 2)) / 3 - distilled + noise) * 4, 0.0, 0.95))
    scale = 1.0 if metric.highest is not None else 4.0
    return float(metric.from_loss(round(loss * scale, 4)))
