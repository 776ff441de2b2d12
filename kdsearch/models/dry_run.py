"""A forward pass that leaves no trace on the module."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from kdsearch.models.signals import ImageShape


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Eval mode without gradients; each submodule gets its own mode back afterwards."""
    modes = {part: part.training for part in module.modules()}
    module.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for part, mode in modes.items():
            part.training = mode


def blank_images(module: nn.Module, image_shape: ImageShape, count: int) -> Tensor:
    """Zeros [count, C, H, W] on the device, and of the floating type, of ``module``."""
    weight = next((p for p in module.parameters() if p.is_floating_point()), torch.empty(0))
    return torch.zeros(count, *image_shape, device=weight.device, dtype=weight.dtype)
