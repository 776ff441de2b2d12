"""Image classifiers of transformers (https://github.com/huggingface/transformers).

A family is ``hf/TYPE``, an architecture of the library with its own default configuration;
``hf/OWNER/NAME``, a repository of the Hugging Face Hub; or ``hf/FOLDER``, a local folder of
``save_pretrained``, which begins with ``.``, ``~`` or ``/``. Code of a repository is never run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from kdsearch.errors import ModelError, described
from kdsearch.models.inputs import ImageShape, Inputs
from kdsearch.models.libraries.building import check_name, tapped
from kdsearch.models.libraries.hf_images import found_out
from kdsearch.models.libraries.library import Library, Trained, imported
from kdsearch.models.taps.tapped import TappedNetwork
from kdsearch.spec.concrete import ModelConfig
from kdsearch.spec.concrete.network import HUGGING_FACE as PREFIX

_ONLY_TAG = "main"


def names() -> list[str]:
    """The architectures of transformers that classify images, as the spec calls them."""
    auto = imported("transformers.models.auto.modeling_auto", "transformers")
    return [PREFIX + name for name in auto.MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES]


def build_hf(config: ModelConfig, inputs: Inputs, classes: int) -> TappedNetwork:
    """An image classifier of transformers with random weights.

    Raises:
        ModelError: transformers is not installed, there is no such architecture, folder or
            repository, or as :func:`~kdsearch.models.libraries.building.tapped`.
    """
    transformers, described_by = _transformers(), _configuration(config.family)

    def construct(image_shape: ImageShape) -> nn.Module:
        channels, *sides = image_shape
        described_by.num_labels = classes
        if hasattr(described_by, "num_channels"):
            described_by.num_channels = channels
        if isinstance(getattr(described_by, "image_size", None), int):
            if sides[0] != sides[1]:
                raise ModelError(f"{config.family} takes square images; give such")
            described_by.image_size = sides[0]
        elif getattr(described_by, "image_size", None) is not None:
            described_by.image_size = list(sides)
        made: nn.Module = transformers.AutoModelForImageClassification.from_config(
            described_by, dtype=torch.float32, trust_remote_code=False
        )
        return made.train()

    return tapped(config, inputs, classes, construct)


def tags(family: str) -> list[str]:
    """``main`` of a repository or folder; none of an architecture."""
    return [] if _place(family) is None else [_ONLY_TAG]


def trained(family: str, tag: str) -> Trained:
    """Mean, deviation and side of the images, as the weights' own image processor prepares them.

    Raises:
        ModelError: There is none, or it does more than that.
    """
    place, transformers = _place(family), _transformers()
    load = partial(transformers.AutoImageProcessor.from_pretrained, trust_remote_code=False)
    try:
        return found_out(_cached_first(load, place))
    except Exception as error:  # whatever a processor, the hub or the network leads to
        raise ModelError(
            f"{family} does not say how its images were prepared, or by other steps than a "
            f"normalisation and a size ({described(error)}); give normalise and image_size"
        ) from error


def fetch(family: str, tag: str) -> Mapping[str, Tensor]:
    """The weights of a repository or a folder; those that it lacks are left out."""
    load = partial(
        _transformers().AutoModelForImageClassification.from_pretrained,
        dtype=torch.float32,
        trust_remote_code=False,
        output_loading_info=True,
    )
    model, info = _cached_first(load, _place(family))
    missing = set(info["missing_keys"])
    return {name: each for name, each in model.state_dict().items() if name not in missing}


def keep_configuration(family: str, folder: Path) -> None:
    """Write the configuration of a repository or a folder beside a student, which needs it.

    Raises:
        ModelError: There is none any more.
    """
    if family.startswith(PREFIX) and _place(family) is not None:
        _configuration(family).save_pretrained(folder)


def with_kept_configuration(model: ModelConfig, folder: Path) -> ModelConfig:
    """A student's model by the configuration that :func:`keep_configuration` wrote beside it."""
    of_place = model.family.startswith(PREFIX) and _place(model.family) is not None
    if not of_place or not (folder / "config.json").is_file():
        return model
    return model.model_copy(update={"family": f"{PREFIX}{folder.resolve()}"})


def _configuration(family: str) -> Any:
    """The configuration of an architecture, of a folder, or of a repository.

    Raises:
        ModelError: There is none.
    """
    transformers, place = _transformers(), _place(family)
    if place is None:
        check_name(family, names())
        return transformers.CONFIG_MAPPING[family.removeprefix(PREFIX)]()
    if Path(place).is_absolute() and not Path(place, "config.json").is_file():
        raise ModelError(
            f"there is no config.json in {place}; give a folder that model.save_pretrained made"
        )
    try:
        load = partial(transformers.AutoConfig.from_pretrained, trust_remote_code=False)
        return _cached_first(load, place)
    except Exception as error:  # whatever the hub or the network leads to
        raise ModelError(
            f"the configuration of {family} is not on this machine and cannot be downloaded "
            f"({described(error)}); allow the download, copy the cache of the Hub from a machine "
            "that has it, or give a folder of model.save_pretrained"
        ) from error


def _cached_first(load: Callable[..., Any], place: str | None) -> Any:
    """What transformers loads from its cache or a folder, and by download where it is not there."""
    try:
        return load(place, local_files_only=True)
    except OSError:
        return load(place)


def _place(family: str) -> str | None:
    """The folder or repository of a family; ``None`` of an architecture."""
    name = family.removeprefix(PREFIX)
    return name if "/" in name else None


def _transformers() -> Any:
    return imported("transformers", "transformers")


LIBRARY = Library(
    prefix=PREFIX,
    package="transformers",
    extra="transformers",
    names=names,
    build=build_hf,
    tags=tags,
    trained=trained,
    fetch=fetch,
)
