"""The study as Optuna knows it: what is proposed, and what became of it."""

from __future__ import annotations

from pathlib import Path

import optuna
from optuna.storages import JournalStorage
from optuna.study import StudyDirection
from optuna.study._constrained_optimization import _CONSTRAINTS_KEY
from optuna.trial import TrialState

from kdsearch.results.objectives import TO_BE_SMALL, Objectives
from kdsearch.results.record import TrialRecord
from kdsearch.search.optuna_journal import SoleWriterJournal


def open_optuna_study(path: Path, name: str, objectives: Objectives) -> optuna.Study:
    """The Optuna study in a journal file, made if absent; optuna-dashboard reads it too.

    The path is made absolute: Optuna's lock is a link to it, and a link that leads nowhere is never
    recognised as the leftover of a process that was killed.
    """
    smallest, largest = StudyDirection.MINIMIZE, StudyDirection.MAXIMIZE
    best = smallest if objectives.score in TO_BE_SMALL else largest
    study = optuna.create_study(
        storage=JournalStorage(SoleWriterJournal(path.resolve())),
        study_name=name,
        directions=[best, *(smallest for _ in objectives.sizes)],
        load_if_exists=True,
    )
    sizes = (f"log10 {size}" for size in objectives.sizes)
    study.set_metric_names([f"validation {objectives.score}", *sizes])
    return study


def tell_outcome(
    study: optuna.Study, number: int, outcome: TrialRecord, objectives: Objectives
) -> None:
    """Tell Optuna what became of a trial.

    A trial that was stopped is told as pruned and without values: a score on the way is none at the
    end. One with too little accuracy is told as outside a constraint.

    Args:
        study: The study.
        number: Optuna's number of the trial.
        outcome: The ended trial.
        objectives: What is weighed.
    """
    if outcome.accuracy is None:
        stopped = outcome.status == "stopped"
        study.tell(number, state=TrialState.PRUNED if stopped else TrialState.FAIL)
        return
    if objectives.min_accuracy is not None:
        # Optuna sets constraints on the very object that it was asked for, which a resume has not
        storage = study._storage
        trial = storage.get_trial_id_from_study_id_trial_number(study._study_id, number)
        key = f"{_CONSTRAINTS_KEY}:min_accuracy"
        storage.set_trial_system_attr(trial, key, objectives.shortfall(outcome))
    score = outcome.epochs[-1][objectives.score]
    study.tell(number, [score, *objectives.log_sizes(outcome)])
