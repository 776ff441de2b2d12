"""The samples of an epoch's batches: in one stream, or labelled and unlabelled ones in two."""

from __future__ import annotations

import torch
from torch import Tensor

from kdsearch.data import derive
from kdsearch.errors import DataError
from kdsearch.problems.head import MISSING_CLASS
from kdsearch.spec.concrete import TrainingConfig
from kdsearch.training.class_balance import sample_order


def in_two_streams(training: TrainingConfig, labels: Tensor) -> tuple[int, int] | None:
    """How many labelled and unlabelled samples a batch holds, where a training has both kinds.

    Args:
        training: How it is trained.
        labels: [N] what :func:`~kdsearch.training.class_balance.drawn_by` says of the samples that
            it learns from.
    """
    without = labels == MISSING_CLASS
    return training.streams if bool(without.any()) and not bool(without.all()) else None


def epoch_samples(
    training: TrainingConfig, seed: int, epoch: int, labels: Tensor, steps: int
) -> Tensor:
    """The samples of an epoch, batch after batch: a pure function of seed and epoch.

    In two streams each batch has its labelled samples first, so that workers that take every n-th
    sample of it have both kinds. Each stream goes through all its samples, in a new order each
    time, before it comes to one again.

    Args:
        training: How it is trained.
        seed: Seed of the training.
        epoch: Which epoch.
        labels: [N] as in :func:`in_two_streams`, on the CPU.
        steps: Batches of the epoch.

    Returns:
        [steps · batch_size] places among the N samples.
    """
    size, counts = training.batch_size, in_two_streams(training, labels)
    if counts is None:
        return sample_order(training, seed, epoch, labels, steps * size)[: steps * size]
    there = labels != MISSING_CLASS
    streams = []
    for name, own, count in zip(("labelled", "unlabelled"), (there, ~there), counts, strict=True):
        places, needed = own.nonzero().flatten(), steps * count
        order = sample_order(training, derive(seed, name), epoch, labels[places], needed)
        streams.append(places[order[:needed]].view(steps, count))
    return torch.cat(streams, dim=1).flatten()


def check_shares(training: TrainingConfig, labels: Tensor, workers: int) -> None:
    """Refuse two streams of which a worker's share of a batch would lack one.

    Raises:
        DataError: There are more workers than labelled or than unlabelled samples in a batch.
    """
    counts = in_two_streams(training, labels)
    if counts is not None and min(counts) < workers:
        raise DataError(
            f"a batch has {counts[0]} labelled and {counts[1]} unlabelled samples, too few for "
            f"{workers} workers; raise training.batch_size, or bring unlabelled_ratio nearer to 1"
        )
