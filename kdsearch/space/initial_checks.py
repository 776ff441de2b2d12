"""The weights that networks begin with, checked against all that may begin with them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product
from pathlib import Path

from kdsearch.data import Dataset
from kdsearch.errors import CheckpointError, ModelError, StudyError
from kdsearch.models.weights.sources import forget_weights, known_weights
from kdsearch.space.architectures import Architectures
from kdsearch.space.compatibility import Pairs, corners
from kdsearch.space.earlier_students import earlier_students, refuse_unfinished, study_sum
from kdsearch.space.nearest import otherwise, why_none
from kdsearch.space.starts import beginning, origins
from kdsearch.spec.concrete import Init, ModelConfig
from kdsearch.spec.origin import KeyPath, dotted
from kdsearch.spec.ranges import Choices, extremes
from kdsearch.spec.sections import StudentSection
from kdsearch.spec.study import StudySpec
from kdsearch.spec.teaching import called, teacher_path
from kdsearch.training.starts import check_cut_start, check_start
from kdsearch.training.teacher_store import describe


def check_initial(spec: StudySpec, data: Dataset) -> list[str]:
    """Refuse weights that are missing, or do not fit every network that begins with them.

    Returns:
        What is not taken of them, in sentences.

    Raises:
        CheckpointError: The message gives the line.
        SpecError: A network cannot be cut from the one of width 1, or from any finalist of an
            earlier study.
    """
    told = _check_earlier(spec, data)
    for path, who, model, known in _beginning(spec, data):
        try:
            known_weights(model)
            told += check_start(model, known, f"{who} ({describe(model)})")
        except CheckpointError as error:
            raise CheckpointError(f"{spec.place(path)}: {error}") from None
        except ModelError as error:
            raise spec.refuse(path, str(error)) from None
    forget_weights()
    return list(dict.fromkeys(told))


def initial_sums(spec: StudySpec) -> dict[str, str]:
    """The checksum of what a network of a study begins with, by its setting: of each file, and of
    the finalists of each earlier study.

    Raises:
        KdsearchError: They cannot be read.
    """
    found = {}
    for place, given in spec.with_weights.items():
        study = _study(given)
        known = known_weights(given) if study is None else None
        found[dotted(place)] = study_sum(study) if study else known.sha256 if known else ""
    return found


def _study(model: ModelConfig) -> Path | None:
    """The earlier study that a model's weights are the folder of."""
    return model.weights.study if model.weights else None


def check_unchanged(spec: StudySpec, known: Mapping[str, str]) -> None:
    """Refuse to go on where what students begin with has changed since the study began.

    Args:
        spec: The study.
        known: The checksums of its start, as :func:`initial_sums` gives them.

    Raises:
        KdsearchError: A file, or the finalists of an earlier study, are others, or are gone.
    """
    if not any(each.weights and each.weights.file for each in spec.students):
        return
    studies = {dotted(place) for place, given in spec.with_weights.items() if _study(given)}
    for setting, now in initial_sums(spec).items():
        if known.get(setting, now) != now:
            what = "finalists of the earlier study" if setting in studies else "weights"
            raise StudyError(
                f"the {what} that {setting} names have changed since this study began; restore "
                "them and go on with --resume, or begin a study of another name"
            )


def check_cuts(spec: StudySpec, data: Dataset, architectures: Architectures) -> None:
    """Refuse students that are to be cut from a teacher and cannot be cut from any.

    Each family is tried at the ends of its widths, as far as they are smaller than a teacher.

    Raises:
        SpecError: Students cannot be cut from a teacher of their family, or there is none.
    """
    pairs = Pairs(spec, architectures)
    for number, students in enumerate(spec.students):
        if "cut_from_teacher" not in students.inits:
            continue
        # without any, the first says so
        names: list[str | None] = [*origins(spec, students)] or [None]
        for importance in students.importance:
            reasons = []
            for name, corner in product(names, corners(students)):
                init: Init = "cut_from_teacher"
                model = beginning(corner, init, students, spec, name, data.inputs, importance)
                reasons.append(pairs.unfit_start(model) or _uncut(spec, model, data))
            if all(reasons):
                raise spec.refuse(("students", number, "init"), reasons[0])


def _check_earlier(spec: StudySpec, data: Dataset) -> list[str]:
    """Refuse students for which an earlier study has no finalist to begin with.

    Where they may begin with random weights too, some of them must find one.

    Returns:
        Which ones begin with random weights alone, in sentences.
    """
    told = []
    for number, students in enumerate(spec.students):
        if students.weights is None or students.weights.study is None:
            continue
        path = ("students", number, "weights")
        try:
            ends = (
                beginning(each, "pretrained", students, spec, None, data.inputs)
                for each in corners(students)
            )
            reasons = [why_none(end, data.inputs) for end in ends]
            refuse_unfinished(students.weights.study)
        except StudyError as error:
            raise spec.refuse(path, str(error)) from None
        lacking = list(filter(None, reasons))
        if lacking and ("random" not in students.inits or all(reasons)):
            advice = otherwise("random" in students.inits)
            raise spec.refuse(path, f"{lacking[0]}; {advice}")
        told += [f"{reason}; such students begin with random weights alone" for reason in lacking]
    return told


def _uncut(spec: StudySpec, model: ModelConfig, data: Dataset) -> str:
    """Why a student cannot be cut from its teacher, found out by doing it; empty where it can."""
    assert model.cut_from is not None
    known = data.of_tasks(spec.tasks_of(model.cut_from))
    try:
        check_cut_start(model, spec.given_teachers[model.cut_from].model, known)
    except ModelError as error:
        return str(error)
    return ""


def _beginning(
    spec: StudySpec, data: Dataset
) -> Iterator[tuple[KeyPath, str, ModelConfig, Dataset]]:
    """Every network that begins with given weights: its place, name and data."""
    for name, section in spec.teachers_in_use.items():
        if section.model.weights is not None:
            known = data.of_tasks(spec.tasks_of(name))
            path = (*teacher_path(name), "model", "weights")
            yield path, f"the {called(name)}", section.model, known
    for number, students in enumerate(spec.students):
        if students.weights is not None:
            every = (*corners(students), *_meeting_others(students))
            for corner, importance in product(every, students.importance):
                init: Init = "pretrained"
                model = beginning(corner, init, students, spec, None, data.inputs, importance)
                if why_none(model, data.inputs):  # it begins with random weights
                    continue
                yield ("students", number, "weights"), "the student", model, data


def _meeting_others(students: StudentSection) -> Iterator[ModelConfig]:
    """Students between the ends of a family's widths that begin with other finalists than these."""
    assert students.weights is not None
    study = students.weights.study
    if study is None:
        return
    widths = {each.model.width for each in earlier_students(study)}
    if isinstance(students.width, Choices):
        widths = set(map(float, students.width.choices))
    low, high = extremes(students.width)
    for width in sorted(each for each in widths if low < each < high):
        alike = {"width": width}
        yield from dict.fromkeys(each.model_copy(update=alike) for each in corners(students))
