"""Everything that decides the outcome of one training."""

from __future__ import annotations

import hashlib
import json

from kdsearch.spec.base import Section
from kdsearch.spec.concrete import MethodConfig, ModelConfig, TrainingConfig
from kdsearch.spec.sections import Augmentation

_ADDED = ("class_weights", "sampling")
"""Settings that earlier versions did not have; where they change nothing, nor does the key."""


class Task(Section):
    """One training: a network, its objective, its schedule and its seeds.

    Two equal tasks on equal data and teacher give equal weights on one kind of machine.
    """

    model: ModelConfig
    """The network that is trained."""
    method: MethodConfig
    """What it minimises."""
    training: TrainingConfig
    """How it is trained."""
    augment: Augmentation = Augmentation()
    """Random changes of its images."""
    views_seed: int
    """Seed of the augmentation, one for all trials of a study: they see the same views."""
    teacher: str | None = None
    """Who teaches: the name of a teacher, ``average``, ``born_again`` or ``mutual``; nobody for the
    undistilled baseline."""
    generations: int = 1
    """Students that teach one after another before it, where ``teacher`` is ``born_again``."""
    seed: int
    """Seed of the initial weights and of the order of samples."""

    @property
    def key(self) -> str:
        """SHA-256 of the task's content."""
        content = self.model_dump(mode="json")
        for name in _ADDED:
            if content["training"][name] == TrainingConfig.model_fields[name].default:
                del content["training"][name]
        text = json.dumps(content, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()
