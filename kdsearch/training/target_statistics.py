"""Adaptive batch normalisation: a network is judged with the statistics of the target domain."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from kdsearch.compression.layers import NORMALISATIONS
from kdsearch.data import Dataset, make_feed
from kdsearch.data.feeds.feed import Feed
from kdsearch.errors import DataError, ModelError
from kdsearch.methods import parse_label
from kdsearch.models import Network
from kdsearch.training.ranks import Ranks
from kdsearch.training.task import Task

Normalisation = nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d | nn.SyncBatchNorm

BATCH = 512
"""Samples at a time; batches are of one size, or differ by one sample."""


class TargetStatistics:
    """Gives networks the statistics of the target's training samples, by :func:`set_statistics`.

    Args:
        feed: Training samples without augmentation.
        index: [N] places of the target's among them, on the CPU.
        ranks: This process's place among the workers, who share the samples out.

    Raises:
        DataError: There are fewer than two samples, which have no variance.
    """

    def __init__(self, feed: Feed, index: Tensor, ranks: Ranks) -> None:
        if len(index) < 2:
            raise DataError(
                f"adabn needs at least two training samples of the target, which has {len(index)}"
            )
        self._feed, self._ranks = feed, ranks
        batches = index.tensor_split(math.ceil(len(index) / BATCH))
        self._batches = batches[ranks.rank :: ranks.world_size]

    def settle(self, network: Network) -> None:
        """Give a network the statistics for good."""
        batches = self._feed.batches(self._batches, epoch=0)
        set_statistics(network, (batch.inputs for batch in batches), self._ranks)

    @contextmanager
    def lent(self, network: Network) -> Iterator[None]:
        """A network with these statistics for a while; then it has its own again."""
        layers = normalisations(network)
        before = [[values.clone() for values in layer.buffers()] for layer in layers]
        try:
            self.settle(network)
            yield
        finally:
            for layer, kept in zip(layers, before, strict=True):
                for values, value in zip(layer.buffers(), kept, strict=True):
                    values.copy_(value)


def target_statistics(
    task: Task, data: Dataset, student: Network, device: torch.device, ranks: Ranks
) -> TargetStatistics | None:
    """What a task whose method has a term of the kind ``statistics`` is judged with; else nothing.

    Raises:
        DataError: The data set has no target domain, or too few samples of it.
    """
    terms = [term.name for term in parse_label(task.method.label) if term.kind == "statistics"]
    if not terms:
        return None
    if data.train.domain is None:
        raise DataError(f"{terms[0]} adapts to a target domain, and the data set has none")
    feed = make_feed(data.train, data.scales, None, 0, device, 0, set(student.inputs))
    index = data.train.domain.cpu().nonzero().flatten()
    return TargetStatistics(feed, index, ranks)


def set_statistics(
    network: Network, batches: Iterable[Mapping[str, Tensor]], ranks: Ranks | None = None
) -> None:
    """Set the running statistics of batch normalisation to means over batches.

    Of each layer the means of the batches' means and unbiased variances are taken, each batch
    passing the layers before it by its own statistics (Li et al. 2016, algorithm 1). All else of
    the network is in eval mode, so no unit is dropped. No weight changes, and modes and momentum
    are left as they were.

    Args:
        network: Changed in place.
        batches: This worker's inputs by name, on the network's device.
        ranks: This process's place among the workers, whose batches all count.

    Raises:
        ModelError: The network has no batch normalisation with running statistics.
    """
    layers = normalisations(network)
    if not layers:
        raise ModelError("adabn adapts batch normalisation, and the student has none")
    with _accumulating(network, layers), torch.no_grad():
        for inputs in batches:
            network(*network.taken(inputs))
    if ranks is not None and ranks.world_size > 1:
        _merge(layers, ranks)


def normalisations(network: nn.Module) -> list[Normalisation]:
    """The layers of batch normalisation, of any dimension, that keep running statistics."""
    layers = (part for part in network.modules() if isinstance(part, NORMALISATIONS))
    return [layer for layer in layers if layer.running_mean is not None]


@contextmanager
def _accumulating(network: nn.Module, layers: Sequence[Normalisation]) -> Iterator[None]:
    """The layers alone in training mode, with fresh statistics that are means over batches."""
    modes = [(part, part.training) for part in network.modules()]
    momenta = [layer.momentum for layer in layers]
    network.eval()
    for layer in layers:
        layer.reset_running_stats()
        layer.training, layer.momentum = True, None
    try:
        yield
    finally:
        for part, training in modes:
            part.training = training
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum


def _merge(layers: Sequence[Normalisation], ranks: Ranks) -> None:
    """Means over the batches of all workers, some of whom may have had none."""
    for layer in layers:
        mean, variance, count = layer.running_mean, layer.running_var, layer.num_batches_tracked
        assert mean is not None
        assert variance is not None
        assert count is not None
        total = ranks.sum(count.clone())
        for values in (mean, variance):
            values.copy_(ranks.sum(values * count) / total)
        count.copy_(total)
