"""The libraries whose networks a spec may name, and what their weights were trained on."""

from __future__ import annotations

from functools import lru_cache

from kdsearch.models.libraries import hf_models, timm_models, torchvision_models
from kdsearch.models.libraries.library import Library, Trained
from kdsearch.spec.concrete import ModelConfig

LIBRARIES: tuple[Library, ...] = (
    torchvision_models.LIBRARY,
    timm_models.LIBRARY,
    hf_models.LIBRARY,
)
"""Those that there are; the prefix of a family tells which."""


def library_of(family: str) -> Library | None:
    """The library of a family in the spec; ``None`` where it is of none."""
    return next((each for each in LIBRARIES if family.startswith(each.prefix)), None)


def library_tag(model: ModelConfig) -> tuple[Library, str] | None:
    """The library and the tag of the weights that a model begins with.

    ``None`` where it begins with random weights, with a file, or is of no library.

    Raises:
        CheckpointError: The library has no weights of that name.
    """
    if model.weights is None or model.weights.file is not None:
        return None
    library = library_of(model.family)
    if library is None:
        return None
    return library, library.tag(model.family, model.weights.source)


def with_own_view(model: ModelConfig) -> ModelConfig:
    """A model whose normalisation and size are those of its library's weights, where none are set.

    Raises:
        CheckpointError: The library has no weights of that name.
    """
    if model.image_size is not None and model.normalise is not None:
        return model
    found = library_tag(model)
    if found is None:
        return model
    library, tag = found
    trained = _trained(library.prefix, model.family, tag)
    return model.model_copy(
        update={
            "normalise": model.normalise or trained.normalise,
            "image_size": model.image_size or trained.image_size,
        }
    )


@lru_cache(maxsize=256)
def _trained(prefix: str, family: str, tag: str) -> Trained:
    library = next(each for each in LIBRARIES if each.prefix == prefix)
    return library.trained(family, tag)
