"""Random changes of colour, as torchvision's ColorJitter draws them."""

from __future__ import annotations

from functools import lru_cache
from itertools import permutations

import torch
from torch import Tensor

from kdsearch.data.views import colour
from kdsearch.data.views.draws import Bits, Draw, change_
from kdsearch.data.views.random_streams import unit
from kdsearch.spec.augmentation import ColorJitter

_CHANGES = {
    "brightness": (colour.brightness, Draw.BRIGHTNESS),
    "contrast": (colour.contrast, Draw.CONTRAST),
    "saturation": (colour.saturation, Draw.SATURATION),
    "hue": (colour.hue, Draw.HUE),
}


def color_jitter(images: Tensor, bits: Bits, jitter: ColorJitter) -> Tensor:
    """Change brightness, contrast, saturation and hue, in an order of each sample's own.

    Args:
        images: [B, 1 or 3, H, W] uint8; grey ones for brightness and contrast alone.
        bits: The draws of the samples.
        jitter: How much of each; what is 0 is left out.

    Returns:
        [B, C, H, W] uint8.
    """
    used = [name for name in _CHANGES if getattr(jitter, name)]
    strengths = {name: draw_strength(name, getattr(jitter, name), bits) for name in used}
    order = draw_order(len(used), bits) if len(used) > 1 else None
    for step in range(len(used)):
        for number, name in enumerate(used):
            chosen = None if order is None else order[:, step] == number
            images = change_(images, chosen, _CHANGES[name][0], strengths[name])
    return images


def draw_strength(name: str, spread: float, bits: Bits) -> Tensor:
    """The factor [B] of a change, float32, uniform in 1 ± spread but not below 0; of the hue the
    shift, uniform in ± spread."""
    low, high = (-spread, spread) if name == "hue" else (max(1 - spread, 0), 1 + spread)
    return (unit(bits(_CHANGES[name][1])) * (high - low) + low).to(torch.float32)


def draw_order(count: int, bits: Bits) -> Tensor:
    """A permutation [B, count] of each sample's own, all as likely."""
    drawn = bits(Draw.JITTER_ORDER)
    orders = _orders(count, drawn.device)
    return orders.index_select(0, drawn % len(orders))


@lru_cache(maxsize=8)
def _orders(count: int, device: torch.device) -> Tensor:
    return torch.tensor(list(permutations(range(count))), device=device)
