"""Finalists of an earlier study, as its folder ships them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from kdsearch.errors import CheckpointError, SpecError, StudyError
from kdsearch.problems import find_metric
from kdsearch.problems.head import answers_sum, named_by_data
from kdsearch.results.directory import StudyDirectory
from kdsearch.results.front_file import read_summary
from kdsearch.results.shipped import DESCRIPTION, WEIGHTS, Shipped, ShippedInput, read_shipped
from kdsearch.spec.concrete import EarlierStudent, InitialWeights, ModelConfig, Normalisation


@dataclass(frozen=True)
class Earlier:
    """A finalist of an earlier study, with what a student takes of it.

    Attributes:
        model: Its architecture.
        weights: Its weights.
        taken: What it takes of a sample.
        outputs: Columns of its output.
        objective: By what its study judged it.
        score: Its score by that, on validation.
    """

    model: ModelConfig
    weights: InitialWeights
    taken: tuple[ShippedInput, ...]
    outputs: int
    objective: str
    score: float

    @property
    def study(self) -> str:
        """The name of its study."""
        assert self.weights.student is not None
        return self.weights.student.study

    @property
    def normalise(self) -> Normalisation | None:
        """What its image was normalised by; ``None`` where it takes none, or several."""
        images = [each for each in self.taken if each.kind == "image"]
        if self.model.normalise is not None or len(images) != 1:
            return self.model.normalise
        return Normalisation(mean=images[0].mean, std=images[0].std)

    @property
    def loss(self) -> float:
        """How far it is from the best that there can be on validation, by its study's objective.

        Raises:
            StudyError: The objective is a metric of the user's own that is not here.
        """
        try:
            return find_metric(self.objective).loss(self.score)
        except SpecError as error:
            raise StudyError(
                f"the finalists of the study {self.study} of one width are compared by its "
                f"objective: {error}"
            ) from None


def earlier_students(folder: Path) -> tuple[Earlier, ...]:
    """The finalists that an earlier study ships, by their trials.

    Those that took a teacher's classifier over (simkd) are among them, though no student has that
    to begin with.

    Args:
        folder: The study's folder.

    Raises:
        StudyError: There is no study, it has no finalists yet, or the files of one are damaged.
    """
    folder = folder.absolute()
    if (folder / DESCRIPTION).exists():
        raise StudyError(
            f"{folder} is the folder of one student; give that of its study, or the {WEIGHTS} in it"
        )
    return _earlier_students(folder, _changed(folder))


def _changed(folder: Path) -> tuple[int, ...]:
    """When the finalists of a study were written last."""
    directory = StudyDirectory(folder)
    students, journals = directory.students, (directory.trials.path, directory.finalists.path)
    return tuple(
        each.stat().st_mtime_ns
        for each in (students, *_folders(students), *journals)
        if each.exists()
    )


def _folders(students: Path) -> list[Path]:
    return sorted(each for each in students.glob("trial-*") if each.is_dir())


def _present(directory: StudyDirectory) -> list[Path]:
    """The folders of the students that are finalists; a study that was extended keeps others."""
    there = _folders(directory.students)
    if not there:
        return []
    try:
        front = read_summary(directory.path, "front")["front"]
    except SpecError as error:
        raise StudyError(
            f"the finalists of the study in {directory.path} cannot be told: {error}"
        ) from None
    present = {directory.student(row["trial"]) for row in front}
    return [each for each in there if each in present]


def refuse_unfinished(folder: Path) -> None:
    """Refuse an earlier study whose finalists may yet be others.

    Raises:
        StudyError: It runs, or did not come to its end.
    """
    directory = StudyDirectory(folder)
    if (state := directory.state().get("state")) != "finished":
        remedy = "wait for it" if directory.runs() else "finish it first by kdsearch run --resume"
        raise StudyError(f"the study in {folder} is not finished ({state}); {remedy}")


@lru_cache(maxsize=16)
def _earlier_students(folder: Path, changed: tuple[int, ...]) -> tuple[Earlier, ...]:
    """Those of a study whose finalists were last written then."""
    directory = StudyDirectory(folder)
    directory.state()  # refuses a folder that is no study's
    try:
        found = [read_shipped(each) for each in _present(directory)]
    except CheckpointError as error:
        raise StudyError(str(error)) from None
    if not found:
        raise StudyError(
            f"the study in {folder} has no finalists yet; finish it first, or remove it"
        )
    return tuple(_earlier(folder, each) for each in found)


def _earlier(folder: Path, shipped: Shipped) -> Earlier:
    told, facts = shipped.told, shipped.facts
    model, objective = told.model, facts["gain_over_undistilled"]["objective"]
    by_name, of = {each.name: each for each in told.inputs}, facts["data"]
    student = EarlierStudent(
        study=folder.name,
        trial=facts["trial"],
        width=model.width,
        round_to=model.round_to,
        answers=answers_sum(told.tasks),
        data=(of["name"], of["fingerprint"]) if named_by_data(told.tasks) else None,
    )
    return Earlier(
        model,
        InitialWeights(source=str(shipped.weights), sha256=told.sha256, student=student),
        tuple(by_name[name] for name in model.inputs or by_name),
        sum(len(each.names) for each in told.tasks),
        objective,
        facts["validation_scores"][objective],
    )


def study_sum(folder: Path) -> str:
    """SHA-256 over all that students may take of an earlier study.

    Raises:
        StudyError: As :func:`earlier_students`.
    """
    able = (each for each in earlier_students(folder) if each.model.adopts is None)
    found = sorted(each.weights.sha256 for each in able)
    return hashlib.sha256("".join(found).encode()).hexdigest()
