"""A forward pass that leaves no trace on the module."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from kdsearch.models.inputs import Inputs


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


def blank_inputs(module: nn.Module, inputs: Inputs, count: int) -> tuple[Tensor, ...]:
    """Zeros for ``count`` samples on the device, and of the floating type, of ``module``."""
    weight = next((p for p in module.parameters() if p.is_floating_point()), torch.empty(0))
    return tuple(
        torch.zeros(count, *each.shape, device=weight.device, dtype=weight.dtype)
        for each in inputs.values()
    )
