"""What each part of a study has cost, beside sums over its records."""

from __future__ import annotations

import pytest

from kdsearch.report.content import content
from kdsearch.results.record import TrialRecord
from kdsearch.results.spent import Spent, spent, spent_told, teacher_verb
from kdsearch.results.study import Study
from kdsearch.spec import parse_spec
from kdsearch.spec.teaching import TEACHER
from tests.tracking.conftest import records, study

__all__ = ["records", "study"]


def with_teacher(study: Study, **facts: object) -> None:
    known = study.state["teachers"][TEACHER] | facts
    study.directory.update(teachers={TEACHER: known})


def test_every_training_counts_where_it_belongs(study: Study, records: list[TrialRecord]) -> None:
    """Each epoch of the study made by hand takes a second."""
    search, finalists = spent(study)
    epochs = sum(len(record.epochs) for record in records)
    assert search == Spent("search", pytest.approx(epochs), epochs, len(records))
    judged = study.directory.finalists.read().values()
    epochs = sum(len(record.epochs) for record in judged)
    assert finalists == Spent("finalists", pytest.approx(epochs), epochs, len(judged))


def test_the_teacher_comes_first(study: Study) -> None:
    with_teacher(study, seconds=92.4, epochs=1200, trained=True)
    assert spent(study)[0] == Spent("teacher trained", 92.4, 1200, 1)
    told = spent_told(study)
    assert told.startswith(
        "teacher trained 1 min 32 s (1,200 epochs), search 18 s (18 epochs of 6 "
    )
    short = spent_told(study, with_epochs=False)
    assert short.startswith("teacher trained 1 min 32 s, search 18 s, finalists ")
    assert ["Cost", told] in content(study)["study"]["facts"]
    with_teacher(study, trained=False)
    assert spent_told(study).startswith(
        "teacher trained 1 min 32 s (1,200 epochs, before this study), search"
    )


@pytest.mark.parametrize(
    ("override", "verb"),
    [
        ("teacher.seed=0", "trained"),
        ("teacher.model.weights=before.pt", "fine-tuned"),
        ("teacher.checkpoint=done.pt", "given"),
    ],
)
def test_how_a_teacher_comes_to_be(spec_text: str, override: str, verb: str) -> None:
    assert teacher_verb(parse_spec(spec_text, [override]), TEACHER) == verb
