"""Whether a network can be cut: tried with random weights, which are compared afterwards."""

from __future__ import annotations

import torch
from torch import nn

from kdsearch.compression.cut import cut
from kdsearch.compression.layers import CONVOLUTIONS, NORMALISATIONS, groups_of
from kdsearch.compression.units import Kept
from kdsearch.errors import ModelError
from kdsearch.models.dry_run import evaluating
from kdsearch.models.network import Network
from kdsearch.spec.concrete import Importance

_SAMPLES = 2
_TOLERANCE = 1e-6
"""Of the largest output, in double precision."""


def check_cut(source: Network, target: Network, importance: Importance = "magnitude") -> None:
    """Refuse a pair of networks of which the narrower cannot be cut from the wider.

    The wider network gets random weights, the narrower is cut from it, and then every weight that
    reads a dropped channel is set to zero in the wider one. Now both compute the same, or else the
    channels were told wrongly, or something computes with all of them, as layer normalisation does.

    Args:
        source: The wider network, on the CPU; it is overwritten.
        target: The narrower one; it is overwritten too.
        importance: What will decide; ``bn_scale`` needs batch normalisation.

    Raises:
        ModelError: As :func:`~kdsearch.compression.cut`, or both do not compute the same.
    """
    source.double()
    target.double()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        _randomise(source)
        inputs = [
            torch.randn(_SAMPLES, *each.shape, dtype=torch.float64)
            for each in source.inputs.values()
        ]
    kept = cut(source, target, "bn_scale" if importance == "bn_scale" else "magnitude")
    _drop(source, kept)
    with evaluating(source), evaluating(target):
        wider, narrower = source(*inputs), target(*inputs)
    if not float((wider - narrower).abs().max()) <= _TOLERANCE * float(wider.abs().max()):
        raise ModelError(
            f"{target.family} cannot be cut from a wider network: its channels are shuffled, or "
            "something computes with all of them at once, as layer normalisation does; use width "
            "1, or begin with random weights"
        )


def _randomise(network: nn.Module) -> None:
    """Weights and statistics among which no two channels are alike."""
    with torch.no_grad():
        for layer in network.modules():
            if isinstance(layer, NORMALISATIONS):
                for values in (layer.weight, layer.bias, layer.running_mean):
                    if values is not None:
                        values.normal_()
                if layer.running_var is not None:
                    layer.running_var.uniform_(0.5, 2.0)
            elif isinstance(layer, (*CONVOLUTIONS, nn.Linear)) and layer.bias is not None:
                layer.bias.normal_(std=0.1)


def _drop(source: nn.Module, kept: Kept) -> None:
    """Set to zero what reads the channels that are not kept."""
    with torch.no_grad():
        for side, places in kept.items():
            layer = source.get_submodule(side.layer)
            if side.end != "in" or not isinstance(layer, (*CONVOLUTIONS, nn.Linear)):
                continue
            read = torch.zeros(_inputs(layer), dtype=torch.bool)
            read[torch.from_numpy(places)] = True
            groups = groups_of(layer)
            by_row = read.reshape(groups, -1).repeat_interleave(len(layer.weight) // groups, dim=0)
            layer.weight[~by_row] = 0.0


def _inputs(layer: nn.Module) -> int:
    if isinstance(layer, nn.Linear):
        return layer.in_features
    assert isinstance(layer, CONVOLUTIONS)
    return layer.in_channels
