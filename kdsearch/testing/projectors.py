"""Learnable helpers that change nothing, for the comparison of identical networks."""

from __future__ import annotations

import torch
from torch import nn


@torch.no_grad()
def identity_projectors(module: nn.Module) -> None:
    """Make every layer that can be the identity one, in eval mode.

    Linear layers and 1×1 convolutions with as many outputs as inputs, and batch normalisations;
    layers of other shapes are left as they are.

    Args:
        module: A method; its helpers are changed in place.
    """
    for layer in module.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d):
            _make_identity(layer)
        elif isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            layer.reset_parameters()
            if layer.running_var is not None:
                layer.running_var.fill_(1 - layer.eps)


def _make_identity(layer: nn.Linear | nn.Conv2d) -> None:
    outputs, inputs = layer.weight.shape[:2]
    if outputs != inputs or layer.weight.numel() != outputs * inputs:
        return
    layer.weight.copy_(torch.eye(outputs).view_as(layer.weight))
    if layer.bias is not None:
        layer.bias.zero_()
