"""The finalist of an earlier study with which a student begins."""

from __future__ import annotations

from functools import lru_cache
from itertools import groupby
from pathlib import Path

from kdsearch.errors import ModelError
from kdsearch.models import FAMILIES, blueprint
from kdsearch.models.inputs import Input, Inputs, chosen
from kdsearch.models.weights import tensors_of
from kdsearch.models.weights.fit import Misfits, wrapper_of
from kdsearch.models.weights.forms import read_state, renamed
from kdsearch.space.earlier_students import Earlier, earlier_students
from kdsearch.spec.concrete import InitialWeights, ModelConfig


def begun_with_nearest(
    model: ModelConfig, given: InitialWeights, inputs: Inputs | None
) -> ModelConfig:
    """A student that begins with the nearest of an earlier study's, and sees images as that did.

    Args:
        model: The student's architecture.
        given: Weights of ``students`` that name a study.
        inputs: Of a sample of the data; ``None`` where they are not known, as where a space is
            only asked for its parameters.

    Returns:
        Where there is none, the student with the study as its weights, of which
        :func:`why_none` says why it cannot be trained.

    Raises:
        StudyError: As :func:`~kdsearch.space.earlier_students.earlier_students`.
    """
    assert given.study is not None
    found = nearest(model, given.study, inputs)
    if found is None:
        return model.model_copy(update={"weights": given})
    return _seeing(model, found, inputs).model_copy(update={"weights": found.weights})


def nearest(model: ModelConfig, folder: Path, inputs: Inputs | None) -> Earlier | None:
    """The finalist of an earlier study from which a student is cut with least loss.

    Of its family, its depth and its rounding of channels, and of weights that fit the data, the
    narrowest that is at least as wide; of several of one width the best on validation.

    Args:
        model: The student's architecture.
        folder: The earlier study's.
        inputs: Of a sample of the data, if known.

    Returns:
        ``None`` where there is none.

    Raises:
        StudyError: As :func:`~kdsearch.space.earlier_students.earlier_students`.
    """
    able = [each for each in _able(model, folder) if not _misfit(model, each, inputs)]
    of_a_width = [list(group) for _, group in groupby(able, key=lambda each: each.model.width)]
    if not of_a_width:
        return None
    first = of_a_width[0]
    # a metric of the user's own may not be here, and is not needed for one alone
    return first[0] if len(first) == 1 else min(first, key=lambda each: each.loss)


def why_none(model: ModelConfig, inputs: Inputs | None) -> str:
    """Why a student finds none to begin with in an earlier study: which ones that has.

    Empty where it finds one, and where it begins with something else.
    """
    folder = None if model.weights is None or model.weights.sha256 else model.weights.study
    if folder is None:
        return ""
    if able := _able(model, folder):
        return _misfit(model, able[0], inputs)
    family = [each.model for each in earlier_students(folder) if each.model.family == model.family]
    own = [each for each in family if _is_origin(each)]
    there = ", ".join(dict.fromkeys(map(_knobs, own))) or f"no {model.family}"
    if len(own) < len(family):
        there += ("" if own else " but") + (
            " those that took a teacher's classifier over (simkd) or were made small by a way, "
            "which no student begins with"
        )
    return (
        f"no finalist of the study in {folder} is a {model.family} of {_knobs(model)} or wider: it "
        f"has {there}"
    )


def otherwise(random: bool) -> str:
    """What to do where there is no finalist to begin with.

    Args:
        random: Whether the students may begin with random weights too.
    """
    if random:
        return "search what can be cut from its finalists, or remove weights and pretrained"
    return (
        "search what can be cut from its finalists, or add random to init, with which the others "
        "begin"
    )


def _able(model: ModelConfig, folder: Path) -> list[Earlier]:
    """Those that are a student's kind and wide enough, the narrowest first."""
    own = (each for each in earlier_students(folder) if _is_origin(each.model))
    alike = (each for each in own if _kind(each.model) == _kind(model))
    able = [each for each in alike if each.model.width >= model.width]
    return sorted(able, key=lambda each: each.model.width)


def _is_origin(model: ModelConfig) -> bool:
    """Whether students can begin with a finalist's weights: its own layers, as they are."""
    return model.adopts is None and not model.ways


def _seeing(model: ModelConfig, found: Earlier, inputs: Inputs | None) -> ModelConfig:
    """A student that sees its one image as a finalist did."""
    taken = found.taken if inputs is None else chosen(inputs, model.inputs).values()
    if sum(each.kind == "image" for each in taken) != 1:
        return model
    seen = {
        "normalise": model.normalise or found.normalise,
        "image_size": model.image_size or found.model.image_size,
    }
    return model.model_copy(update=seen)


def _misfit(model: ModelConfig, found: Earlier, inputs: Inputs | None) -> str:
    """Why the weights of a finalist are none of a student on the data; empty where they fit."""
    if inputs is None:
        return ""
    taken = chosen(inputs, model.inputs)
    kinds = [each.kind for each in taken.values()]
    if kinds != [each.kind for each in found.taken]:
        theirs = " and ".join(each.name for each in found.taken)
        return (
            f"the finalists of the study {found.study} take {theirs}, and the students take "
            f"{_told(taken)}"
        )
    seen = _seeing(model, found, inputs)
    for image in (each for each in taken.values() if each.kind == "image"):
        channels, height, width = image.shape
        if seen.normalise is not None and channels not in (1, len(seen.normalise.mean)):
            return (
                f"the study {found.study} was of images of {len(seen.normalise.mean)} channel(s), "
                f"and the data have {channels}"
            )
        if model.image_size is None and seen.image_size is not None and height != width:
            return (
                f"the finalists of the study {found.study} resize square images to "
                f"{seen.image_size} pixels, and the data are {image.told}"
            )
    whole = {"width": found.model.width, "round_to": found.model.round_to, "stored": "float32"}
    found_at = seen.model_copy(update={**whole, "depth": found.model.depth, "weights": None})
    key = found_at, tuple(inputs.items()), found.outputs
    told = _misfit_of_weights(*key, found.weights)
    return told and f"the finalists of the study {found.study} do not fit the data: {told}"


@lru_cache(maxsize=256)
def _misfit_of_weights(
    model: ModelConfig, inputs: tuple[tuple[str, Input], ...], outputs: int, weights: InitialWeights
) -> str:
    """What of weights does not fit a network of as many outputs, in words; empty where all does."""
    assert weights.file is not None
    try:
        network = blueprint(model, dict(inputs), outputs)
    except ModelError as error:
        return str(error)
    own = tensors_of(network)
    state = renamed(read_state(weights.file, "the student"), own, wrapper_of(network))
    misfits = Misfits.of(network, own, {name: state[name] for name in own if name in state})
    return misfits.told()


def _told(taken: Inputs) -> str:
    return " and ".join(f"{name} ({each.short})" for name, each in taken.items())


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
