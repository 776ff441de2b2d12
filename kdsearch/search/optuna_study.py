"""The study as Optuna knows it: in memory to propose by, and as a file for optuna-dashboard."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import optuna
from optuna.storages import BaseStorage, JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.study import StudyDirection
from optuna.trial import FixedTrial, FrozenTrial, TrialState, create_trial

from kdsearch.files import taking_name_last
from kdsearch.problems import find_metric
from kdsearch.results.objectives import Objectives
from kdsearch.results.record import TrialRecord
from kdsearch.space.space import Space

STATES = {
    "complete": TrialState.COMPLETE,
    "stopped": TrialState.PRUNED,
    "failed": TrialState.FAIL,
}
"""What Optuna calls a trial that has ended; for it any other runs."""


def make_optuna_study(
    objectives: Objectives, name: str | None = None, storage: BaseStorage | None = None
) -> optuna.Study:
    """An empty study, in memory where no storage is given."""
    best = {"lower": StudyDirection.MINIMIZE, "higher": StudyDirection.MAXIMIZE}
    scores = [best[find_metric(name).better] for name in (objectives.score, *objectives.more)]
    directions = [scores[0], *(best["lower"] for _ in objectives.sizes), *scores[1:]]
    study = optuna.create_study(storage=storage, study_name=name, directions=directions)
    sizes = (f"log10 {size}" for size in objectives.sizes)
    first, *others = (f"validation {name}" for name in (objectives.score, *objectives.more))
    study.set_metric_names([first, *sizes, *others])
    return study


def values(record: TrialRecord, objectives: Objectives) -> list[float] | None:
    """What a complete trial has reached; of another nothing, as a score on the way is none."""
    if not record.complete:
        return None
    others = (record.scores[name] for name in objectives.more)
    return [objectives.value(record), *objectives.log_sizes(record), *others]


def constraints(record: TrialRecord, objectives: Objectives) -> dict[str, float]:
    """By how much a complete trial misses what it must reach; at most 0 where it does not."""
    return objectives.shortfalls(record.scores) if record.complete else {}


def write_optuna_journal(
    path: Path, name: str, objectives: Objectives, space: Space, records: Mapping[int, TrialRecord]
) -> None:
    """Write the study as a journal that Optuna and optuna-dashboard read.

    It is a copy of the records, and can be made again at any time; what the file held before is
    replaced. Optuna's numbers are ours; one of which there is no record waits.
    """
    waiting = create_trial(state=TrialState.WAITING)
    with taking_name_last(path.resolve()) as partial:
        partial.unlink(missing_ok=True)
        storage = JournalStorage(JournalFileBackend(str(partial)))
        make_optuna_study(objectives, name, storage).add_trials(
            _frozen(records[number], space, objectives) if number in records else waiting
            for number in range(max(records, default=-1) + 1)
        )


def _frozen(record: TrialRecord, space: Space, objectives: Objectives) -> FrozenTrial:
    """A trial as Optuna shows it."""
    drawn = FixedTrial(record.parameters)
    space.suggest(drawn)
    shown = {"epochs": len(record.epochs), "status": record.status, "reason": record.reason}
    return create_trial(
        state=STATES.get(record.status, TrialState.RUNNING),
        values=values(record, objectives),
        params=drawn.params,
        distributions=drawn.distributions,
        user_attrs={name: value for name, value in shown.items() if value is not None},
        constraints=constraints(record, objectives),
    )
