"""What a batch holds in fixed shares: samples of two domains, or with and without a label."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from kdsearch.problems.head import MISSING_CLASS
from kdsearch.spec.concrete import TrainingConfig


@dataclass(frozen=True)
class Stream:
    """Samples of one kind, of which every batch holds as many.

    Attributes:
        name: What they are.
        own: [N] which of the samples they are.
        count: How many of them a batch holds.
    """

    name: str
    own: Tensor
    count: int


def streams_of(
    training: TrainingConfig, labels: Tensor, domain: Tensor | None = None
) -> Sequence[Stream]:
    """The two streams of a training, by domain or by whether there is a label; else none.

    Args:
        training: How it is trained.
        labels: [N] what :func:`~kdsearch.training.class_balance.drawn_by` says of the samples that
            it learns from.
        domain: [N] which of them are of the target domain; ``None`` where there is one domain.
    """
    if domain is not None:
        named, second, counts = ("source", "target"), domain, training.domain_streams
    elif training.streams is not None:
        named, second = ("labelled", "unlabelled"), labels == MISSING_CLASS
        counts = training.streams
    else:
        return ()
    if bool(second.all()) or not bool(second.any()):
        return ()
    return [
        Stream(name, own, count)
        for name, own, count in zip(named, (~second, second), counts, strict=True)
    ]
