"""A network's own view of its images: the normalisation and the size of its weights' training."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from kdsearch.errors import ModelError
from kdsearch.models.inputs import Input, Inputs
from kdsearch.models.resizing import shares
from kdsearch.spec.concrete import ModelConfig


class Preparation(nn.Module):
    """Turns images as the data have them into those that a network's weights were trained on.

    The data's normalisation is taken back and the network's own applied; grey images are repeated
    for a network of colours; squares are resized (bilinear, antialiased, as
    :func:`~kdsearch.models.resizing.shares` says). It has no weights: its constants are no part of
    a state dict, but of the network, so that whatever runs, measures or exports the network has
    them.

    Args:
        given: The images of the data, [C, H, W] with what they were normalised by.
        mean: Of each channel of the network's own normalisation, of pixels in 0 to 1; with
            ``std`` absent where the data's is kept.
        std: Its standard deviations.
        side: Height and width that the network takes; absent: those of the data.

    Attributes:
        taken: The images that the network gets.

    Raises:
        ModelError: Channels that do not fit, or images that are not square where they are resized.
    """

    _across: Tensor
    _factor: Tensor
    _shift: Tensor

    def __init__(
        self,
        given: Input,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        side: int | None = None,
    ) -> None:
        super().__init__()
        channels, height, width = given.shape
        own = channels if mean is None else len(mean)
        if own != channels and channels != 1:
            raise ModelError(
                f"normalise has {own} channel(s), and the data are {given.told}; give one mean and "
                "one std for each channel"
            )
        if side is not None and height != width:
            raise ModelError(
                f"image_size resizes square images, and the data are {given.told}; leave "
                "image_size out, or set data.image_size where the data are image files"
            )
        self._repeats = own if own != channels else 1
        self._resizes = side is not None and side != height
        sides = (height, width) if side is None else (side, side)
        self.taken = Input(
            "image",
            (own, *sides),
            given.mean if mean is None else tuple(mean),
            given.std if std is None else tuple(std),
        )
        self._rescales = (self.taken.mean, self.taken.std) != (given.mean, given.std)
        if self._rescales:
            self._keep_scale(given)
        if self._resizes:
            self._keep("_across", _line(height, sides[0]))

    def _keep_scale(self, given: Input) -> None:
        """The factor and shift of each of the network's channels, [C, 1, 1]."""
        was_mean, was_std, mean, std = (
            torch.tensor(values or (default,), dtype=torch.float64, device="cpu")
            for values, default in (
                (given.mean, 0.0),
                (given.std, 1.0),
                (self.taken.mean, 0.0),
                (self.taken.std, 1.0),
            )
        )
        self._keep("_factor", (was_std / std)[:, None, None])
        self._keep("_shift", ((was_mean - mean) / std)[:, None, None])

    def _keep(self, name: str, constant: Tensor) -> None:
        here = constant.to(torch.get_default_device(), torch.float32)
        self.register_buffer(name, here, persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Images [B, C, H, W] of the data as the network takes them."""
        kind = images.device.type
        if kind == "meta" or not torch.is_autocast_enabled(kind):
            return self._prepared(images)
        with torch.autocast(kind, enabled=False):  # eight bits of mantissa would blur the images
            return self._prepared(images)

    def _prepared(self, images: Tensor) -> Tensor:
        if self._resizes:
            across = self._across.to(images.dtype)
            images = across @ images @ across.mT
        if self._repeats > 1:
            images = images.expand(-1, self._repeats, -1, -1)
        if self._rescales:
            images = images * self._factor.to(images.dtype) + self._shift.to(images.dtype)
        return images


def _line(pixels: int, count: int) -> Tensor:
    places = torch.arange(pixels, dtype=torch.float64, device="cpu")
    with torch.device("cpu"):
        return shares(places, torch.tensor(float(pixels), dtype=torch.float64), count)


def preparation_of(config: ModelConfig, inputs: Inputs) -> tuple[str, Preparation] | None:
    """The preparation that a configuration asks for, with the name of the input that it is of.

    Raises:
        ModelError: The inputs have no image, or several, or as :class:`Preparation`.
    """
    if config.image_size is None and config.normalise is None:
        return None
    images = [name for name, each in inputs.items() if each.kind == "image"]
    if len(images) != 1:
        setting = "normalise" if config.image_size is None else "image_size"
        raise ModelError(
            f"{setting} is for networks that take one image, and {config.family} takes "
            f"{len(images)}; remove it, or name its inputs in inputs"
        )
    own = config.normalise
    mean, std = (None, None) if own is None else (own.mean, own.std)
    return images[0], Preparation(inputs[images[0]], mean, std, config.image_size)
