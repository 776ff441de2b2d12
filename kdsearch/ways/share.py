"""Blocks of a network that have the same weights."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from types import MappingProxyType
from typing import Any

from torch import nn

from kdsearch.errors import ModelError
from kdsearch.spec.hyperparameter import Hyperparameter
from kdsearch.spec.ranges import Choices
from kdsearch.ways.base import Way
from kdsearch.ways.layers import CONVOLUTIONS


class Share(Way):
    """Of blocks alike that follow each other, so many have the convolutions of the first of them.

    Linear layers are shared as well. Each block keeps its own normalisation, whose statistics are
    of its own inputs (Boulch 2018, section 3; Lan et al. 2020, ALBERT, share whole blocks, which
    have no such statistics). MACs stay what they were.
    """

    name = "share"
    about = "blocks in a row share their layers"
    paper = "Boulch 2018, Reducing Parameter Number in Residual Networks by Sharing Weights"
    changes = "layers"
    hyperparameters = MappingProxyType(
        {
            "blocks": Hyperparameter(
                2.0,
                Choices(choices=(2, 3, 4)),
                "blocks with the same weights",
                whole=True,
                minimum=2,
            )
        }
    )

    def check(self, network: nn.Module) -> None:
        if not list(self._groups(network)):
            raise ModelError(
                f"{self.name}: no two blocks alike follow each other; choose a deeper student, or "
                "a family of repeated blocks"
            )

    def reshape(self, network: nn.Module) -> None:
        for first, *others in self._groups(network):
            for block in others:
                for (_, own), (_, leading) in zip(_layers(block), _layers(first), strict=True):
                    own.weight = leading.weight
                    own.bias = leading.bias

    def fill(self, network: nn.Module, whole: nn.Module) -> None:
        """Of the blocks that share, the first one's weights are taken."""
        leading = {name for name, _ in network.named_parameters()}  # each that is shared once
        leading |= {name for name, _ in network.named_buffers()}
        own = {name: value for name, value in whole.state_dict().items() if name in leading}
        network.load_state_dict(own, strict=False)

    def _groups(self, network: nn.Module) -> Iterator[list[nn.Module]]:
        """Blocks that share, at least two each."""
        count = int(self.values["blocks"])
        for part in network.modules():
            if not isinstance(part, nn.Sequential | nn.ModuleList):
                continue
            for kind, run in groupby(part, key=_kind):
                blocks = list(run)
                for start in range(0, len(blocks) if kind else 0, count):
                    group = blocks[start : start + count]
                    if len(group) > 1:
                        yield group


def _layers(block: nn.Module) -> Iterator[tuple[str, Any]]:
    for name, layer in block.named_modules():
        if isinstance(layer, (*CONVOLUTIONS, nn.Linear)):
            yield name, layer


def _kind(block: nn.Module) -> Any:
    """Equal for blocks that can have the same weights; ``None`` where they have none to share."""
    layers = tuple(
        (name, type(layer).__name__, tuple(layer.weight.shape), str(layer))
        for name, layer in _layers(block)
    )
    return (type(block).__name__, layers) if layers else None
