"""How an image processor of transformers prepares images, found out by asking it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdsearch.errors import ModelError
from kdsearch.models.libraries.library import Trained
from kdsearch.spec.concrete import Normalisation

_SIDES = (64, 96)
"""Of the images that are asked about, in pixels."""
_COLOURS = ((0, 0, 0), (255, 0, 0), (0, 255, 0), (0, 0, 255), (51, 51, 51))
"""Black, the three channels alone, and a fifth of white."""
_FIFTH = 51 / 255
_TOLERANCE = 1e-3
_DIGITS = 6
"""So many digits of a float32 are sure after a few operations."""


def found_out(processor: Any) -> Trained:
    """The normalisation and the side of what a processor makes of images of one colour each.

    All that it does to pixels counts, whatever its settings are called: scales, offsets, and
    several normalisations one after the other are one, as long as each channel stays by itself.

    Args:
        processor: Takes PIL images, and returns ``pixel_values``.

    Raises:
        ModelError: It does something else: it mixes or swaps channels, is not linear, or its images
            are not square.
    """
    colours, sides = _middles(processor, _SIDES[0])
    _, others = _middles(processor, _SIDES[1])
    if sides[0] != sides[1]:
        raise ModelError(f"its processor makes images of {sides[0]}×{sides[1]} pixels")
    shift = colours[0]
    by_channel = colours[1:4] - shift  # [given, found]
    scale = np.diagonal(by_channel)
    if np.abs(by_channel - np.diag(scale)).max() > _TOLERANCE * np.abs(by_channel).max():
        raise ModelError("its processor swaps or mixes the channels of colours")
    linear = np.abs(shift + _FIFTH * scale - colours[4]) < _TOLERANCE * np.abs(scale)
    if not linear.all() or (scale <= 0).any():
        raise ModelError("its processor does more to pixels than to scale and shift them")
    # one mean is of grey images, which the processor was given as colours
    told = getattr(processor, "image_mean", None)
    count = 1 if isinstance(told, list | tuple) and len(told) == 1 else len(scale)
    normalise = Normalisation(
        mean=tuple(_rounded(-shift[c] / scale[c]) for c in range(count)),
        std=tuple(_rounded(1 / scale[c]) for c in range(count)),
    )
    return Trained(normalise, sides[0] if sides == others else None)


def _middles(processor: Any, side: int) -> tuple[NDArray[np.float64], tuple[int, int]]:
    """The middle pixel [5, 3] of what becomes of each colour, and the images' height and width."""
    from PIL import Image

    images = [Image.new("RGB", (side, side), colour) for colour in _COLOURS]
    given = processor(images=images, return_tensors="pt")
    made = given["pixel_values"].double().numpy()
    if made.ndim != 4 or made.shape[:2] != (len(_COLOURS), 3):
        raise ModelError(f"its processor makes {list(made.shape)} of {len(_COLOURS)} images")
    height, width = made.shape[2:]
    return made[:, :, height // 2, width // 2], (height, width)


def _rounded(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}") + 0.0  # no negative zero
