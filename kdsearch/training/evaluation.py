"""How well a network does on a split, by itself and beside a reference."""

from __future__ import annotations

import torch
from torch import Tensor

from kdsearch.data import Views
from kdsearch.errors import DivergedError
from kdsearch.models import Network
from kdsearch.problems import Problem
from kdsearch.spec.domains import SOURCE
from kdsearch.training.ranks import Ranks

Scores = dict[str, float]
"""Scores of a network on a split by the names of their metrics."""


def of_source(scores: Scores) -> Scores:
    """Scores on the test of the source domain, by the names that they have beside the others."""
    return {SOURCE + name: score for name, score in scores.items()}


def predict(network: Network, views: Views, index: Tensor, batch: int = 512) -> Tensor:
    """[N, S] float32 outputs of the samples at ``index`` [N] of a split, without gradient.

    Args:
        network: Asked in eval mode and left in the mode it came in.
        views: The split.
        index: [N] samples of it.
        batch: Samples at a time.
    """
    was_training = network.training
    network.eval()
    with torch.no_grad():
        batches = (network.taken(views.inputs(part, 0)) for part in index.split(batch))
        parts = [network(*inputs).float() for inputs in batches]
    network.train(was_training)
    return torch.cat(parts)


def evaluate(
    network: Network,
    views: Views,
    problem: Problem,
    reference: Tensor | None = None,
    ranks: Ranks | None = None,
    last: bool = False,
) -> Scores:
    """Scores of a network on a whole split, whose samples are shared out over the workers.

    The outputs come to host memory, where the metrics are computed over all of them in one order,
    so that a score depends neither on the batches nor on the device's order of summing.

    Args:
        network: The network.
        views: The split.
        problem: What is predicted, and by what it is judged.
        reference: float32 outputs [N, S] of the network to compare with, in host memory.
        ranks: This process's place among the workers.
        last: Whether the objective's standard error over samples is asked for too.

    Raises:
        DivergedError: An output is not finite.
    """
    ranks = ranks or Ranks()
    share = ranks.share(torch.arange(len(views), device=views.split.device))
    own = predict(network, views, share)
    if ranks.world_size > 1:  # each adds its rows to zeros, which changes none
        whole = own.new_zeros(len(views), own.shape[1])
        whole[share] = own
        own = ranks.sum(whole)
    own = own.cpu()
    if not bool(torch.isfinite(own).all()):
        raise DivergedError("an output became infinite or no number")
    targets = {name: each.cpu() for name, each in views.split.targets.items()}
    predictions = problem.predictions(own, targets, reference)
    return problem.scores(predictions) | (problem.error(predictions, len(views)) if last else {})
