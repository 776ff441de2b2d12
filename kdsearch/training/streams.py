"""The samples of an epoch's batches: in one stream, or in two of a fixed share of each batch."""

from __future__ import annotations

import torch
from torch import Tensor

from kdsearch.data import derive
from kdsearch.errors import DataError
from kdsearch.spec.concrete import TrainingConfig
from kdsearch.training.batch_shares import streams_of
from kdsearch.training.class_balance import sample_order


def epoch_samples(
    training: TrainingConfig,
    seed: int,
    epoch: int,
    labels: Tensor,
    steps: int,
    domain: Tensor | None = None,
) -> Tensor:
    """The samples of an epoch, batch after batch: a pure function of seed and epoch.

    In two streams each batch has its labelled samples, or the source's, first, so that workers that
    take every n-th sample of it have both kinds. Each stream goes through all its samples, in a new
    order each time, before it comes to one again.

    Args:
        training: How it is trained.
        seed: Seed of the training.
        epoch: Which epoch.
        labels: [N] as in :func:`~kdsearch.training.batch_shares.streams_of`, on the CPU.
        steps: Batches of the epoch.
        domain: [N] likewise.

    Returns:
        [steps · batch_size] places among the N samples.
    """
    size, streams = training.batch_size, streams_of(training, labels, domain)
    if not streams:
        return sample_order(training, seed, epoch, labels, steps * size)[: steps * size]
    drawn = []
    for stream in streams:
        places, needed = stream.own.nonzero().flatten(), steps * stream.count
        order = sample_order(training, derive(seed, stream.name), epoch, labels[places], needed)
        drawn.append(places[order[:needed]].view(steps, stream.count))
    return torch.cat(drawn, dim=1).flatten()


def check_shares(
    training: TrainingConfig, labels: Tensor, workers: int, domain: Tensor | None = None
) -> None:
    """Refuse two streams of which a worker's share of a batch would lack one.

    Raises:
        DataError: There are more workers than samples of a stream in a batch.
    """
    streams = streams_of(training, labels, domain)
    if streams and min(stream.count for stream in streams) < workers:
        told = " and ".join(f"{stream.count} {stream.name}" for stream in streams)
        ratio = "unlabelled_ratio" if domain is None else "target_ratio"
        raise DataError(
            f"a batch has {told} samples, too few for {workers} workers; raise "
            f"training.batch_size, or bring {ratio} nearer to 1"
        )
