"""What each part of a study has cost: teachers, search, finalists."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from kdsearch.results.durations import duration
from kdsearch.results.record import TrialRecord
from kdsearch.results.study import Study
from kdsearch.spec.study import StudySpec
from kdsearch.spec.teaching import called


@dataclass(frozen=True)
class Spent:
    """The trainings of one part of a study.

    Attributes:
        part: A teacher with how it came to be, ``search`` or ``finalists``.
        seconds: Of training and its evaluations, those of all workers together.
        epochs: Finished epochs.
        trainings: How many were begun.
        before: Whether another study has paid for it.
    """

    part: str
    seconds: float
    epochs: int
    trainings: int
    before: bool = False


def spent(study: Study) -> list[Spent]:
    """The parts of a study as far as they have come; a given teacher has cost nothing here.

    Paused, stopped and failed trainings count too, and baselines with their tuning as a part of
    the finalists.
    """
    spec, found = study.spec, []
    for name, told in study.state.get("teachers", {}).items():
        if told.get("epochs"):
            part = f"{called(name)} {teacher_verb(spec, name)}"
            before = not told.get("trained", False)
            found.append(Spent(part, told["seconds"], told["epochs"], 1, before))
    for part, journal in (
        ("search", study.directory.trials),
        ("finalists", study.directory.finalists),
    ):
        records = journal.read().values()
        if records:
            found.append(_of_records(part, records))
    return found


def teacher_verb(spec: StudySpec, name: str) -> str:
    """How a teacher comes to be: given, trained, or fine-tuned from weights."""
    section = spec.given_teachers[name]
    if not section.is_trained:
        return "given"
    return "fine-tuned" if section.model.pretrained else "trained"


def spent_told(study: Study, with_epochs: bool = True) -> str:
    """The parts in one line; empty before anything was trained."""
    return ", ".join(
        f"{each.part} {duration(each.seconds)}{_counted(each, with_epochs)}"
        for each in spent(study)
    )


def _counted(part: Spent, with_epochs: bool) -> str:
    trainings = f" of {part.trainings:,} trainings" if part.trainings > 1 else ""
    told = [f"{part.epochs:,} epochs{trainings}"] if with_epochs else []
    told += ["before this study"] if part.before else []
    return f" ({', '.join(told)})" if told else ""


def _of_records(part: str, records: Iterable[TrialRecord]) -> Spent:
    known = list(records)
    seconds = sum(record.seconds for record in known)
    return Spent(part, seconds, sum(len(record.epochs) for record in known), len(known))
