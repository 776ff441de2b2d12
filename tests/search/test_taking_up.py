"""Trainings of before go on with initial weights that have moved since."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from kdsearch.data import Dataset
from kdsearch.results.judging import Judging
from kdsearch.results.record import TrialRecord
from kdsearch.search.judging_jobs import JudgingJobs
from kdsearch.search.loop import ProposedJobs
from kdsearch.search.proposer import Proposer
from kdsearch.space.architectures import Architectures
from kdsearch.space.space import Space
from kdsearch.spec import StudySpec, parse_spec
from kdsearch.training.initial import initial_student
from tests.earlier import make_study, ship

EPOCH = {"accuracy": 0.5, "averaged_accuracy": 0.5, "epoch": 1.0, "seconds": 1.0}
GIVEN = ("", "students/trial-0001/student.safetensors")
"""The earlier study's folder, or a file in it."""


def later(spec_text: str, weights: Path) -> StudySpec:
    halving = ["search.scheduler.name=halving", "search.scheduler.rungs=[0.12]"]
    students = f"students=[{{family: convnet, depth: 2, width: 0.5, weights: {weights}}}]"
    words = ["methods=[none]", "search.trials=9", "training.epochs=9", *halving, students]
    return parse_spec(spec_text, words)


def architectures(data: Dataset) -> Architectures:
    return Architectures(data.inputs, 10, data.problem.heads)


def paused(record: TrialRecord) -> TrialRecord:
    """A record after its first epoch, as the journal gives it back."""
    record = record.model_copy(update={"status": "paused", "epochs": (EPOCH,)})
    return TrialRecord.model_validate_json(record.model_dump_json())


@pytest.mark.parametrize("given", GIVEN)
@pytest.mark.parametrize("deterministic", [True, False])
def test_a_trial_at_a_rung_finds_them(
    spec_text: str, digits: Dataset, tmp_path: Path, given: str, deterministic: bool
) -> None:
    earlier = make_study(later(spec_text, tmp_path), tmp_path / "earlier")
    ship(earlier, 1, digits, width=0.5)
    spec = later(spec_text, earlier / given)
    proposer = Proposer(Space(spec), architectures(digits))
    known = {place: paused(proposer.record(place)) for place in range(9)}
    moved = later(spec_text, Path(shutil.move(earlier, tmp_path / "moved")) / given)
    proposer = Proposer(Space(moved), architectures(digits), known=known)
    jobs = ProposedJobs(moved, proposer, known, deterministic=deterministic)
    record = jobs.next()
    assert record is not None
    assert len(record.epochs) == 1
    assert record.task.key == known[record.number].task.key
    initial_student(record.task, digits)  # as its process builds the network again


@pytest.mark.parametrize("given", GIVEN)
def test_a_finalist_that_was_cut_off_finds_them(
    spec_text: str, digits: Dataset, tmp_path: Path, given: str
) -> None:
    earlier = make_study(later(spec_text, tmp_path), tmp_path / "earlier")
    ship(earlier, 1, digits, width=0.5)
    spec = later(spec_text, earlier / given)
    record = paused(Proposer(Space(spec), architectures(digits)).record(0))
    member = record.model_copy(update={"status": "complete"})
    begun = JudgingJobs(Judging(spec, [member], [member], {}), {}, architectures(digits)).next()
    assert begun is not None
    known = {begun.task.key: paused(begun)}
    moved = later(spec_text, Path(shutil.move(earlier, tmp_path / "moved")) / given)
    judging = Judging(moved, [member], [member], known)
    again = JudgingJobs(judging, known, architectures(digits)).next()
    assert again is not None
    assert (again.task.key, len(again.epochs)) == (begun.task.key, 1)
    initial_student(again.task, digits)
