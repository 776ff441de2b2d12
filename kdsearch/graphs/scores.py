"""How well a file does on a split, by the study's metrics."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from kdsearch.data.dataset import Split
from kdsearch.errors import RunError
from kdsearch.graphs.run import Session
from kdsearch.graphs.samples import samples_at
from kdsearch.problems import Problem


def split_outputs(session: Session, split: Split, batch: int = 256) -> np.ndarray:
    """Outputs [N, S] of every sample of a split, by a file.

    Args:
        session: The file.
        split: The split.
        batch: Samples at a time.
    """
    parts = torch.arange(len(split)).split(batch)
    return np.concatenate(
        [session.outputs(samples_at(split, session.inputs, part)) for part in parts]
    )


def scores_of(
    outputs: np.ndarray, split: Split, problem: Problem, reference: np.ndarray | None = None
) -> dict[str, float]:
    """Scores by the names of their metrics, as those of a network in PyTorch are.

    Args:
        outputs: [N, S] of :meth:`kdsearch.graphs.run.Session.outputs`, of every sample of the
            split: values in their own unit.
        split: The split.
        problem: What is predicted, and by what it is judged.
        reference: The same of a teacher's file, for the metrics that compare with one.

    Raises:
        RunError: An output is not finite.
    """
    if not np.isfinite(outputs).all():
        raise RunError("an output of the file is infinite or no number; ship it in float32")
    natural = problem.with_heads(replace(head, mean=0.0, std=1.0) for head in problem.heads)
    beside = None if reference is None else torch.from_numpy(reference)
    targets = {name: each.cpu() for name, each in split.targets.items()}
    predictions = natural.predictions(torch.from_numpy(outputs), targets, beside)
    return natural.scores(predictions)
