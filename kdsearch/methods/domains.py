"""What the methods of domain adaptation share: the source's and the target's part of a batch."""

from __future__ import annotations

from torch import Tensor

from kdsearch.methods.base import Method
from kdsearch.methods.inputs import full_precision
from kdsearch.methods.targets import Targets
from kdsearch.models.signals import Signal, Signals


class DomainMethod(Method):
    """A method that makes the student's embeddings of two domains alike.

    It needs no teacher, and no sample's class: the source's and the target's samples of a batch
    are compared as two sets. Under several workers those of each one's own share are.
    """

    kind = "domain"
    signals = frozenset({Signal.EMBEDDING})
    needs_teacher = False
    adapts = True


def embedded(student: Signals, targets: Targets) -> tuple[Tensor, Tensor]:
    """The student's embeddings [B, D], and which of them are of the target domain, [B] bool."""
    assert student.embedding is not None, "the student's embedding was not observed"
    assert targets.domain is not None, "the domains of the samples were not given"
    return full_precision(student.embedding), targets.domain


def shares(target: Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
    """Weights [B] of a mean over the source's samples, and of one over the target's.

    Those of a domain without a sample are all 0.

    Args:
        target: Which samples are of the target domain, [B] bool.
        like: A tensor of the type that the weights are to have.
    """
    of_target, of_source = target.to(like.dtype), (~target).to(like.dtype)
    return of_source / of_source.sum().clamp(min=1), of_target / of_target.sum().clamp(min=1)
