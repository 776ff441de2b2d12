"""timm's classification models (https://github.com/huggingface/pytorch-image-models)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from kdsearch.errors import ModelError
from kdsearch.models.inputs import ImageShape, Inputs
from kdsearch.models.libraries.building import check_name, tapped
from kdsearch.models.libraries.library import DEFAULT, Library, Trained, imported
from kdsearch.models.taps.tapped import TappedNetwork
from kdsearch.spec.concrete import ModelConfig, Normalisation

PREFIX = "timm/"

_FILES = ("model.safetensors", "pytorch_model.bin")
"""What timm calls a file of weights, the first that there is."""


def names() -> list[str]:
    """timm's models, as the spec calls them: their architectures, without tags."""
    return [PREFIX + name for name in _timm().list_models()]


def build_timm(config: ModelConfig, inputs: Inputs, classes: int) -> TappedNetwork:
    """A timm model with random weights, for images of any number of channels.

    Raises:
        ModelError: timm is not installed, unknown name, or as
            :func:`~kdsearch.models.libraries.building.tapped`.
    """
    timm, name = _timm(), config.family.removeprefix(PREFIX)
    architecture, _, tag = name.partition(".")
    if tag:
        raise ModelError(
            f"{config.family} names weights too; give family: {PREFIX}{architecture} and, to begin "
            f"with them, weights: {tag}"
        )
    check_name(config.family, names())
    default = timm.get_pretrained_cfg(name)

    def construct(image_shape: ImageShape) -> nn.Module:
        channels, *sides = image_shape
        sized = {"img_size": tuple(sides)} if default and default.fixed_input_size else {}
        made: nn.Module = timm.create_model(name, num_classes=classes, in_chans=channels, **sized)
        return made

    return tapped(config, inputs, classes, construct)


def tags(family: str) -> list[str]:
    """The weights of a model, the default first; none of a name that timm does not list."""
    timm, name = _timm(), family.removeprefix(PREFIX)
    if not timm.is_model(name):
        return []
    default = timm.get_pretrained_cfg(name)
    if default is None or not default.has_weights:
        return []
    first = default.tag or DEFAULT
    every = (each.partition(".")[2] for each in timm.list_models(f"{name}.*", pretrained=True))
    return [first, *(each for each in every if each not in ("", first))]


def trained(family: str, tag: str) -> Trained:
    """Mean, deviation and side of the images, as timm's configuration of the weights has them."""
    found = _timm().get_pretrained_cfg(_named(family, tag))
    normalise = Normalisation(mean=tuple(found.mean), std=tuple(found.std))
    return Trained(normalise, int(found.input_size[-1]))


def fetch(family: str, tag: str) -> Mapping[str, Tensor]:
    """The weights of a tag as timm loads them, with its conversions from the files of others.

    A file in the cache of the Hub is taken as it is, without asking the network for a newer one.
    """
    timm, name = _timm(), _named(family, tag)
    kept = _kept(timm.get_pretrained_cfg(name))
    overlay = {} if kept is None else {"file": kept}
    made: nn.Module = timm.create_model(name, pretrained=True, pretrained_cfg_overlay=overlay)
    return made.state_dict()


def _kept(found: Any) -> str | None:
    """The file of weights in the cache of the Hub, if it is there."""
    from huggingface_hub import try_to_load_from_cache

    files = [found.hf_hub_filename] if found.hf_hub_filename else _FILES
    paths = (try_to_load_from_cache(found.hf_hub_id, file) for file in files if found.hf_hub_id)
    return next((path for path in paths if isinstance(path, str)), None)


def _named(family: str, tag: str) -> str:
    """How timm calls an architecture with its weights."""
    name = family.removeprefix(PREFIX)
    return name if tag == DEFAULT else f"{name}.{tag}"


def _timm() -> Any:
    return imported("timm", "timm")


LIBRARY = Library(
    prefix=PREFIX,
    package="timm",
    extra="timm",
    names=names,
    build=build_timm,
    tags=tags,
    trained=trained,
    fetch=fetch,
)
