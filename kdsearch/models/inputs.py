"""What a network takes of a sample: inputs by name, each of a kind and a shape."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from kdsearch.errors import ModelError
from kdsearch.spec.names import suggest

InputKind = Literal["image", "numbers"]
"""``image``: normalised pixels; ``numbers``: standardised features of a sample."""

ImageShape = tuple[int, int, int]
"""(channels, height, width) of one image."""

IMAGE = "image"
"""Name of the one input of data that are images alone."""

NUMBERS = "numbers"
"""Name of the input that the numbers of a table are."""


@dataclass(frozen=True)
class Input:
    """One input of a sample, float32 as a network takes it.

    Attributes:
        kind: What it is.
        shape: Its shape without the batch dimension: (C, H, W) of an image, (D,) of numbers.
        mean: What the data were normalised by: of each channel of pixels in 0 to 1, or of each
            number. Empty, as ``std``, where they come as they are. Two inputs that differ in it
            alone are equal: what a network may be built for is the same.
        std: Standard deviations, likewise.
    """

    kind: InputKind
    shape: tuple[int, ...]
    mean: tuple[float, ...] = field(default=(), compare=False)
    std: tuple[float, ...] = field(default=(), compare=False)

    @property
    def short(self) -> str:
        """The shape in a list: "1×28×28", "5 numbers"."""
        return "×".join(map(str, self.shape)) if self.kind == "image" else self.told

    @property
    def told(self) -> str:
        """The input in a sentence: "images of 28×28 pixels with 1 channel(s)"."""
        if self.kind == "image":
            channels, height, width = self.shape
            return f"images of {height}×{width} pixels with {channels} channel(s)"
        return f"{self.shape[0]} numbers"


Inputs = Mapping[str, Input]
"""The inputs of a network by name, in the order in which it takes them."""


def of_images(image_shape: Sequence[int]) -> dict[str, Input]:
    """One image (C, H, W) as the only input."""
    return {IMAGE: Input("image", tuple(image_shape))}


def told(inputs: Inputs) -> str:
    """The inputs in a sentence."""
    if len(inputs) == 1:
        return next(iter(inputs.values())).told
    return " and ".join(f"{name} ({each.told})" for name, each in inputs.items())


def images_in(inputs: Inputs) -> ImageShape | None:
    """(channels, height, width) of the first image among the inputs, if there is one."""
    for each in inputs.values():
        if each.kind == "image":
            channels, height, width = each.shape
            return channels, height, width
    return None


def only_image(family: str, inputs: Inputs) -> ImageShape:
    """(channels, height, width) of the image that is the only input.

    Raises:
        ModelError: There are other inputs.
    """
    shape = images_in(inputs)
    if shape is None or len(inputs) > 1:
        remedy = "take mlp or a network of your own"
        name = next((name for name, each in inputs.items() if each.kind == "image"), None)
        if name is not None:
            remedy = f"set inputs to [{name}], or {remedy}"
        raise ModelError(f"{family} takes one image, and the inputs are {told(inputs)}; {remedy}")
    return shape


def chosen(inputs: Inputs, names: Sequence[str] | None) -> dict[str, Input]:
    """The inputs of these names, in their order; all without names.

    Raises:
        ModelError: There is none of a name.
    """
    if names is None:
        return dict(inputs)
    for name in names:
        if name not in inputs:
            raise ModelError(f"the data have no input '{name}'; {suggest(name, list(inputs))}")
    return {name: inputs[name] for name in names}
