"""Finalists of an earlier study, of which students of another begin with the nearest."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from kdsearch.errors import CheckpointError, StudyError
from kdsearch.models import FAMILIES
from kdsearch.problems import find_metric
from kdsearch.problems.head import answers_sum
from kdsearch.results.directory import StudyDirectory
from kdsearch.results.shipped import Shipped, read_shipped
from kdsearch.spec.concrete import EarlierStudent, InitialWeights, ModelConfig, Normalisation


@dataclass(frozen=True)
class Earlier:
    """A finalist of an earlier study, with what a student takes of it.

    Attributes:
        model: Its architecture.
        weights: Its weights.
        normalise: What its image was normalised by; ``None`` where it takes none, or several.
        loss: How far it is from the best that there can be on validation, by its study's objective.
    """

    model: ModelConfig
    weights: InitialWeights
    normalise: Normalisation | None
    loss: float


def earlier_students(folder: Path) -> tuple[Earlier, ...]:
    """The finalists that an earlier study ships, by their trials.

    Those that took a teacher's classifier over (simkd) are left out: no student has that to begin
    with.

    Args:
        folder: The study's folder.

    Raises:
        StudyError: There is no study, it has no finalists yet, or the files of one are damaged.
    """
    folder = folder.absolute()
    try:
        changed = StudyDirectory(folder).students.stat().st_mtime_ns
    except OSError:
        changed = 0
    return _earlier_students(folder, changed)


@lru_cache(maxsize=16)
def _earlier_students(folder: Path, changed: int) -> tuple[Earlier, ...]:
    """Those of a study whose finalists were last written then."""
    directory = StudyDirectory(folder)
    directory.state()
    try:
        found = [read_shipped(each) for each in sorted(directory.students.glob("trial-*"))]
    except CheckpointError as error:
        raise StudyError(str(error)) from None
    if not found:
        raise StudyError(
            f"the study in {folder} has no finalists yet; finish it first, or remove it"
        )
    return tuple(_earlier(folder, each) for each in found if each.told.model.adopts is None)


def _earlier(folder: Path, shipped: Shipped) -> Earlier:
    told, facts = shipped.told, shipped.facts
    model, objective = told.model, facts["gain_over_undistilled"]["objective"]
    images = [each for each in told.inputs if each.kind == "image"]
    taken = images[0] if len(images) == 1 else None
    own = None if taken is None else Normalisation(mean=taken.mean, std=taken.std)
    student = EarlierStudent(
        study=folder.name,
        trial=facts["trial"],
        width=model.width,
        round_to=model.round_to,
        answers=answers_sum((each.kind, each.names) for each in told.tasks),
    )
    return Earlier(
        model,
        InitialWeights(source=str(shipped.weights), sha256=told.sha256, student=student),
        model.normalise or own,
        find_metric(objective).loss(facts["validation_scores"][objective]),
    )


def nearest(model: ModelConfig, folder: Path) -> Earlier | None:
    """The finalist of an earlier study from which a student is cut with least loss.

    Of its family, its depth and its rounding of channels, the narrowest that is at least as wide;
    of several of one width the best on validation.

    Args:
        model: The student's architecture.
        folder: The earlier study's.

    Returns:
        ``None`` where there is none.

    Raises:
        StudyError: As :func:`earlier_students`.
    """
    alike = (each for each in earlier_students(folder) if _kind(each.model) == _kind(model))
    able = [each for each in alike if each.model.width >= model.width]
    return min(able, key=lambda each: (each.model.width, each.loss), default=None)


def begun_with_nearest(model: ModelConfig, given: InitialWeights) -> ModelConfig:
    """A student that begins with the nearest of an earlier study's, and sees images as that did.

    Args:
        model: The student's architecture.
        given: Weights of ``students`` that name a study.

    Returns:
        Where there is none, the student with the study as its weights, of which
        :func:`why_none` says why it cannot be trained.
    """
    assert given.study is not None
    found = nearest(model, given.study)
    if found is None:
        return model.model_copy(update={"weights": given})
    seen = {
        "normalise": model.normalise or found.normalise,
        "image_size": model.image_size or found.model.image_size,
    }
    return model.model_copy(update={**seen, "weights": found.weights})


OTHERWISE = "search what can be cut from these, or add random to init, with which the others begin"
"""What to do where there is no finalist to begin with."""


def why_none(model: ModelConfig) -> str:
    """Why a student finds none to begin with in an earlier study: which ones that has.

    Empty where it finds one, and where it begins with something else.
    """
    folder = None if model.weights is None or model.weights.sha256 else model.weights.study
    if folder is None:
        return ""
    own = [each.model for each in earlier_students(folder) if each.model.family == model.family]
    there = ", ".join(dict.fromkeys(map(_knobs, own))) or f"no {model.family}"
    return (
        f"no finalist of the study in {folder} is a {model.family} of {_knobs(model)} or wider: it "
        f"has {there}"
    )


def study_sum(folder: Path) -> str:
    """SHA-256 over all that students may take of an earlier study.

    Raises:
        StudyError: As :func:`earlier_students`.
    """
    found = sorted(each.weights.sha256 for each in earlier_students(folder))
    return hashlib.sha256("".join(found).encode()).hexdigest()


def _kind(model: ModelConfig) -> tuple[str, int | None, int | None]:
    """What a student has in common with those that it can be cut from."""
    return model.family, _depth(model), model.round_to


def _depth(model: ModelConfig) -> int | None:
    family = FAMILIES.get(model.family)
    return model.depth or (family.default_depth if family else None)


def _knobs(model: ModelConfig) -> str:
    """Depth, width and rounding in a sentence."""
    depth = _depth(model)
    parts = (
        "" if depth is None else f"depth {depth} ",
        f"width {model.width:.4g}",
        "" if model.round_to is None else f" round_to {model.round_to}",
    )
    return "".join(parts)
