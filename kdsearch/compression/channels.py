"""Which channels of a network's layers are one and the same, by Torch-Pruning's graph."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from kdsearch.compression.layers import NORMALISATIONS, Side, sides
from kdsearch.errors import ModelError, described
from kdsearch.models.dry_run import blank_inputs
from kdsearch.models.network import Network

Channels: TypeAlias = Mapping[Side, NDArray[np.int64]]
"""A number for each channel of each side; places with the same number are coupled: they hold one
channel, which is kept or dropped as a whole."""


def joined(count: int, one: Sequence[int], other: Sequence[int]) -> NDArray[np.int64]:
    """A number for each of ``count`` places, the same where pairs of places lead to each other."""
    # late, as every trial reads this module and few need SciPy
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    edges = coo_array((np.ones(len(one)), (one, other)), shape=(count, count))
    return connected_components(edges, directed=False)[1].astype(np.int64)


def coupled_channels(network: Network) -> Channels:
    """The channels of every layer, the same number wherever one goes.

    Sums and products couple the channels of their parts, and depthwise convolutions and batch
    normalisation those that go in with those that come out; concatenations and flattening move
    them. This is the dependency graph of Fang et al. 2023, "DepGraph: Towards Any Structural
    Pruning", as Torch-Pruning finds it by tracing a forward pass.

    Raises:
        ModelError: The graph cannot be traced.
    """
    counts = sides(network)
    starts = dict(zip(counts, np.cumsum([0, *counts.values()])[:-1].tolist(), strict=True))
    total = sum(counts.values())
    before, behind = _couplings(network, starts)
    numbers = joined(total, before, behind)
    return {side: numbers[start : start + counts[side]] for side, start in starts.items()}


def _couplings(network: Network, starts: Mapping[Side, int]) -> tuple[list[int], list[int]]:
    """Pairs of places that hold one channel, all sides in a row."""
    graph = _graph(network)
    names = {layer: name for name, layer in network.named_modules()}
    before: list[int] = []
    behind: list[int] = []
    reached: set[int] = set()
    for layer in list(graph.module2node):
        if not isinstance(layer, nn.Module) or isinstance(layer, NORMALISATIONS):
            continue
        root = _side(names.get(layer), True, starts)
        if root is None:
            continue
        pruner = graph.get_pruner_of_module(layer)
        every = list(range(pruner.get_out_channels(layer)))
        if reached.issuperset(starts[root] + place for place in every):
            continue  # what is coupled to it was found from another layer
        for item in graph.get_pruning_group(layer, pruner.prune_out_channels, every).items:
            outwards = graph.is_out_channel_pruning_fn(item.dep.handler)
            side = _side(names.get(item.dep.target.module), outwards, starts)
            if side is not None:
                before += [starts[root] + place for place in item.root_idxs]
                behind += [starts[side] + place for place in item.idxs]
                reached.update(behind[-len(item.idxs) :])
    return before, behind


def _side(name: str | None, outwards: bool, starts: Mapping[Side, int]) -> Side | None:
    if name is None:
        return None
    found = (Side(name, "both"), Side(name, "out" if outwards else "in"))
    return next((side for side in found if side in starts), None)


def _graph(network: Network) -> Any:
    # it is slow to import, and only what is cut needs it
    from torch_pruning import DependencyGraph

    modes = {part: part.training for part in network.modules()}
    frozen = [weight for weight in network.parameters() if not weight.requires_grad]
    network.eval()
    try:
        # the graph is read from that of the gradients
        with torch.enable_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for weight in frozen:
                weight.requires_grad_()
            return DependencyGraph().build_dependency(
                network,
                example_inputs=blank_inputs(network, network.inputs, 2),
                forward_fn=lambda model, inputs: model(*inputs),
                verbose=False,
            )
    except Exception as error:  # whatever the library makes of a network that it does not know
        label = network.family or type(network).__name__
        raise ModelError(
            f"the channels of {label} cannot be told from its forward pass ({described(error)}), "
            "so that no narrower network can be cut from it"
        ) from error
    finally:
        for weight in frozen:
            weight.requires_grad_(False)
        for part, mode in modes.items():
            part.training = mode
