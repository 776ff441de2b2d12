"""Whether a file answers as the network in PyTorch."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

from kdsearch.errors import RunError
from kdsearch.graphs.samples import SampleNetwork
from kdsearch.models.dry_run import evaluating

TOLERANCE = 1e-5
"""Largest difference between the outputs of a file and those of the network in PyTorch."""


def compare(
    found: np.ndarray,
    module: SampleNetwork,
    samples: Mapping[str, np.ndarray],
    what: str,
    tolerance: float = TOLERANCE,
) -> float:
    """The largest difference between a file's outputs and the network's.

    Args:
        found: [N, S] of the file.
        module: The network.
        samples: By input, as the data have them.
        what: The file, in the words of the error.
        tolerance: What the difference may be.

    Raises:
        RunError: It is larger, or not a number.
    """
    with evaluating(module):
        expected = module(*(torch.from_numpy(samples[name]) for name in module.inputs)).numpy()
    difference = largest_difference(found, expected)
    if not difference <= tolerance:
        raise RunError(
            f"the outputs of the {what} differ from PyTorch's by {difference:.2g}, more than "
            f"{tolerance:g}; ship the student in another format"
        )
    return difference


def largest_difference(found: np.ndarray, expected: np.ndarray) -> float:
    """The largest difference between outputs [N, S]; infinite where the shapes are not the same.

    An output that is larger than 1 in some sample counts as a share of its largest value: float32
    has no more digits, and values may be in any unit.
    """
    if found.shape != expected.shape:
        return float("inf")
    scale = np.abs(expected).max(axis=0, initial=1.0)
    return float((np.abs(found.astype(np.float64) - expected) / scale).max(initial=0.0))
