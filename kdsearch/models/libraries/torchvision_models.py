"""torchvision's classification models, with a width knob where they allow one."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType, ModuleType
from typing import Any

from torch import Tensor, nn

from kdsearch.errors import ModelError
from kdsearch.models.inputs import ImageShape, Inputs
from kdsearch.models.libraries.building import check_name, tapped
from kdsearch.models.libraries.library import Library, Trained
from kdsearch.models.rescale import set_image_channels
from kdsearch.models.taps.tapped import TappedNetwork
from kdsearch.spec.concrete import ModelConfig, Normalisation

PREFIX = "torchvision/"


def _models() -> ModuleType:
    """torchvision's models, late: they take seconds to load, with torch.compile behind them."""
    import torchvision.models

    return torchvision.models


def names() -> list[str]:
    """torchvision's classification models, as the spec calls them."""
    models = _models()
    return [PREFIX + name for name in models.list_models(module=models)]


def build_torchvision(config: ModelConfig, inputs: Inputs, classes: int) -> TappedNetwork:
    """A torchvision model with random weights, for images of any number of channels.

    Auxiliary classifiers are left out.

    Raises:
        ModelError: Unknown name, or as :func:`~kdsearch.models.libraries.building.tapped`.
    """
    check_name(config.family, names())

    def construct(image_shape: ImageShape) -> nn.Module:
        name = config.family.removeprefix(PREFIX)
        options: dict[str, Any] = {}
        for prefix, option in _OPTIONS.items():
            if name.startswith(prefix):
                options |= option(image_shape)
        model = _models().get_model(name, weights=None, num_classes=classes, **options)
        set_image_channels(model, image_shape[0])
        return model

    return tapped(config, inputs, classes, construct)


def tags(family: str) -> list[str]:
    """The weights of a model, the default first; none of a name that torchvision does not list."""
    if family not in names():
        return []
    every = _models().get_model_weights(family.removeprefix(PREFIX))
    default = every.DEFAULT.name
    return [default, *(each.name for each in every if each.name != default)]


def trained(family: str, tag: str) -> Trained:
    """The mean and deviation, and the side of the crops, of torchvision's own transforms.

    GoogLeNet and Inception v3 take images normalised by 0.5 instead: torchvision's models change
    those of its transforms to that as the first step of their forward pass, which ours do not.
    """
    preset = _weights(family, tag).transforms()
    (side,) = {int(each) for each in preset.crop_size}
    normalise = Normalisation(mean=tuple(preset.mean), std=tuple(preset.std))
    if family.startswith(_OF_HALVES):
        normalise = Normalisation(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
    return Trained(normalise, side)


def fetch(family: str, tag: str) -> Mapping[str, Tensor]:
    """The weights of a tag, from PyTorch's hub folder or by download."""
    state = _weights(family, tag).get_state_dict(
        progress=False, check_hash=True, map_location="cpu", weights_only=True
    )
    return {_NUMBERED.sub(r"\1\2", name): values for name, values in state.items()}


def _weights(family: str, tag: str) -> Any:
    return _models().get_model_weights(family.removeprefix(PREFIX))[tag]


_OF_HALVES = (f"{PREFIX}googlenet", f"{PREFIX}inception_v3")

_NUMBERED = re.compile(r"^(.*denselayer\d+\.(?:norm|relu|conv))\.([12]\.\w+)$")
"""Names in files of DenseNets, whose layers norm.1 are now norm1."""


def _main_output_alone(_: ImageShape) -> dict[str, Any]:
    return {"aux_logits": False, "init_weights": True}


def _square_side(image_shape: ImageShape) -> dict[str, Any]:
    _, height, width = image_shape
    if height != width:
        raise ModelError(
            f"a vision transformer of torchvision cannot take images of {height}×{width} "
            "pixels; give square ones or choose another model"
        )
    return {"image_size": height}


def _sides(image_shape: ImageShape) -> dict[str, Any]:
    return {"input_size": image_shape[1:]}


_OPTIONS: Mapping[str, Callable[[ImageShape], dict[str, Any]]] = MappingProxyType(
    {
        "googlenet": _main_output_alone,
        "inception_": _main_output_alone,
        "vit_": _square_side,
        "maxvit_": _sides,
    }
)
"""What some constructors must be told, by how the model's name starts."""

LIBRARY = Library(
    prefix=PREFIX,
    package="torchvision",
    extra="",
    names=names,
    build=build_torchvision,
    tags=tags,
    trained=trained,
    fetch=fetch,
)
