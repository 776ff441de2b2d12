"""A teacher's training that is over, and whose weights cannot be saved."""

from __future__ import annotations

from pathlib import Path

import pytest

from kdsearch.execution.observers import Observer
from kdsearch.results.directory import StudyDirectory
from kdsearch.search.study_run import StudyRun
from kdsearch.space.checks import make_plan
from kdsearch.spec import StudySpec
from kdsearch.training.ray_train import SharedData

pytestmark = pytest.mark.slow


class Epochs(Observer):
    """Notes the epochs of the teacher's training."""

    def __init__(self) -> None:
        self.told: list[float] = []

    def teacher_epoch(self, report: dict[str, float]) -> None:
        self.told.append(report["epoch"])


@pytest.mark.usefixtures("private_ray")
def test_its_checkpoint_is_kept_until_they_are(spec: StudySpec) -> None:
    """A file lies where their folder is to be; without it, they come without any training."""
    epochs = Epochs()
    run = StudyRun(make_plan(spec), epochs)
    run.directory.create(spec)
    data = SharedData.put(run.plan.data)
    teachers = StudyDirectory.teachers(spec)

    def in_the_way() -> Path:
        (saved,) = teachers.glob("*.run")
        return saved.with_suffix("")

    class Obstructs(Epochs):
        def teacher_epoch(self, report: dict[str, float]) -> None:
            super().teacher_epoch(report)
            in_the_way().touch()

    run.observer = first = Obstructs()
    with pytest.raises(FileExistsError):
        run._stored_teacher("teacher", data)
    assert first.told == [1, 2]
    in_the_way().unlink()
    run.observer = epochs
    found, trained = run._stored_teacher("teacher", data)
    assert trained
    assert epochs.told == []
    assert [report["epoch"] for report in found.facts["history"]] == [1, 2]
    assert found.weights.is_file()
    assert list(teachers.glob("*.run")) == []
    again, trained = run._stored_teacher("teacher", data)
    assert (again.key, trained) == (found.key, False)
