"""Made-up trainings that judge a front, by what a configuration would reach."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from itertools import count

from kdsearch.execution.jobs import NoMoreJobs
from kdsearch.models import of_images
from kdsearch.results.judging import Judging
from kdsearch.results.record import TrialRecord
from kdsearch.search.judging_jobs import JudgingJobs
from kdsearch.space.architectures import Architectures
from kdsearch.spec import MethodConfig, StudySpec, TermConfig, parse_spec
from kdsearch.training.task import Task
from tests.records import TASK, trial

BLUEPRINTS = Architectures(of_images((1, 8, 8)), 10)
EPOCHS = 9  # rungs after 1 and 3


def spec_of(text: str, *more: str) -> StudySpec:
    """A study that searches the weight decay too, in few epochs."""
    box = "training.weight_decay={low: 1.0e-5, high: 1.0e-3, log: true}"
    return parse_spec(text, [f"training.epochs={EPOCHS}", box, *more])


def epochs_alone(_: TrialRecord, epochs: float) -> float:
    return epochs


def distilled(
    number: int, accuracy: float, size: int, width: float, lr: float, label: str = "kd"
) -> TrialRecord:
    term = TermConfig(name="kd", hyperparameters={"temperature": 4.0, "weight": 0.9})
    training = TASK.training.model_copy(update={"lr": lr, "epochs": EPOCHS})
    task = TASK.model_copy(
        update={
            "method": MethodConfig(label=label, terms=(term,)),
            "model": TASK.model.model_copy(update={"width": width}),
            "training": training,
        }
    )
    return trial(number, accuracy, size).model_copy(update={"task": task})


def members() -> list[TrialRecord]:
    last = trial(2, 0.7, 30)
    training = last.task.training.model_copy(update={"epochs": EPOCHS})
    model = last.task.model.model_copy(update={"width": 0.8})
    task = last.task.model_copy(update={"training": training, "model": model})
    return [
        distilled(0, 0.5, 10, 0.5, 0.03),
        distilled(1, 0.6, 20, 1.0, 0.1, "dist"),
        last.model_copy(update={"task": task}),
    ]


def search_of(**trials: int) -> list[TrialRecord]:
    """Records of a search in which each method had so many trials."""
    numbers = count(100)
    return [
        distilled(next(numbers), 0.1, 10, 0.5, 0.1, label)
        for label, many in trials.items()
        for _ in range(many)
    ]


SEARCHED = search_of(kd=11, dist=5, none=3)


def quality(record: TrialRecord) -> float:
    """Made up: what a training without a teacher reaches, best at one rate and decay."""
    training = record.task.training
    rate, decay = math.log10(training.lr / 0.1), math.log10(training.weight_decay / 1e-4)
    return 0.9 - 0.2 * rate**2 - 0.05 * decay**2


def advance(record: TrialRecord, until: int | None, failing: Collection[str]) -> TrialRecord:
    """A made-up training up to a rung or its end, whose validation scores approach its quality."""
    if record.task.key in failing:
        return record.model_copy(update={"status": "failed", "reason": "made up"})
    whole = record.task.training.epochs
    best, end = quality(record), until or whole
    epochs = tuple(
        {
            "accuracy": best * epoch / whole,
            "averaged_accuracy": best * (epoch + 1) / (whole + 1),
            "nll": 2 - best,
            "averaged_nll": 2 - best,
            "epoch": float(epoch),
            "seconds": 1.0,
        }
        for epoch in range(1, end + 1)
    )
    status = "complete" if until is None else "paused"
    over = until is None and record.phase == "finalists"
    test = {"accuracy": best - 0.1, "nll": 2 - best} if over else None
    return record.model_copy(update={"status": status, "epochs": epochs, "test": test})


def run_all(
    jobs: JudgingJobs,
    at_a_time: int = 2,
    latest_first: bool = True,
    failing: Collection[str] = (),
    stop: int | None = None,
) -> list[TrialRecord]:
    """Run made-up trainings; every stage that came to its end, in order."""
    running: list[TrialRecord] = []
    reported: list[TrialRecord] = []
    while stop is None or len(reported) < stop:
        record = None
        try:
            record = jobs.next() if len(running) < at_a_time else None
        except NoMoreJobs:
            if not running:
                break
        if record is not None:
            assert record.status == "running"
            running.append(record)
            continue
        each = running.pop(-1 if latest_first else 0)
        done = advance(each, jobs.stage(each).until, failing)
        jobs.ended(done)
        reported.append(done)
    return reported


def by_task(records: Sequence[TrialRecord]) -> dict[str, TrialRecord]:
    """The latest record of each training."""
    return {record.task.key: record for record in records}


def searched_values(task: Task) -> tuple[float, ...]:
    training = task.training
    return training.lr, training.weight_decay, training.label_smoothing


def judged(spec: StudySpec) -> dict[str, TrialRecord]:
    return by_task(run_all(JudgingJobs(Judging(spec, members(), SEARCHED, {}), {}, BLUEPRINTS)))


def trial_of(task: object) -> TrialRecord:
    return trial(0, 0.5, 10).model_copy(update={"task": task})
