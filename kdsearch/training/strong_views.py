"""Two views of each sample in one forward pass, a weak and a strong one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from kdsearch.errors import MethodError
from kdsearch.methods import Objective
from kdsearch.models import Signals
from kdsearch.spec.sections import Augmentation
from kdsearch.training.task import Task


def strong_changes(task: Task, objective: Objective) -> Augmentation | None:
    """The changes of the strong views of a training; ``None`` where no term reads these.

    Raises:
        MethodError: A term reads them, and the task has none.
    """
    if not objective.strong_view:
        return None
    if task.strong is None:
        raise MethodError(
            f"{task.method.label} reads strongly augmented images; set data.strong_augment"
        )
    return task.strong


def joined(weak: Mapping[str, Tensor], strong: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Inputs [2B, ...] by name: all weak views, then all strong ones.

    As in the papers, one forward pass sees both, so that the statistics of batch normalisation are
    of both.
    """
    return {name: torch.cat([each, strong[name]]) for name, each in weak.items()}


def parted(signals: Signals) -> Signals:
    """The signals of :func:`joined` inputs as those of the weak views, with the strong ones'."""
    assert signals.logits is not None, "the student's logits were not observed"
    half = len(signals.logits) // 2
    strong = signals.changed(lambda each: each[half:])
    return replace(signals.changed(lambda each: each[:half]), strong=strong)
