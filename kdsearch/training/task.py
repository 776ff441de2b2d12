"""Everything that decides the outcome of one training."""

from __future__ import annotations

import hashlib
import json

from kdsearch.methods import is_baseline
from kdsearch.spec.base import Section
from kdsearch.spec.concrete import MethodConfig, ModelConfig, TrainingConfig
from kdsearch.spec.sections import Augmentation
from kdsearch.ways import wider_ways

_ADDED_TRAINING = (
    "class_weights",
    "sampling",
    "unlabelled_ratio",
    "target_ratio",
    "decay_norms",
    "ema",
    "fine_tuning",
)
_ADDED = ("strong", "task_weights", "uncertainty", "tasks", "two_domains", "parent")
"""Settings that earlier versions did not have; where they change nothing, nor does the key."""


class Parent(Section):
    """A trained student that another training goes on from."""

    key: str
    """Of its task."""
    model: ModelConfig
    """Its network."""
    epochs: int
    """Epochs of its training, and of those that it went on from in turn."""


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
    """Random changes of its samples."""
    strong: Augmentation | None = None
    """Random changes of a second view of its samples, where a term of its method reads one."""
    views_seed: int
    """Seed of the augmentation, one for all trials of a study: they see the same views."""
    teacher: str | None = None
    """Who teaches: the name of a teacher, ``average``, ``by_task``, ``born_again`` or ``mutual``;
    nobody for the undistilled baseline and for methods that need no teacher."""
    generations: int = 1
    """Students that teach one after another before it, where ``teacher`` is ``born_again``."""
    seed: int
    """Seed of the initial weights and of the order of samples."""
    task_weights: dict[str, float] = {}
    """What the losses of several tasks are multiplied by; 1 where it is not said."""
    uncertainty: bool = False
    """Whether these weights are learnt."""
    tasks: tuple[str, ...] = ()
    """The tasks that it learns, in the problem's order; all, where none is named."""
    two_domains: bool = False
    """Whether its study has a target domain."""
    parent: Parent | None = None
    """The student whose most important channels it begins with, by ``model.importance``."""

    @property
    def is_baseline(self) -> bool:
        """Whether others' gains are over it: by ``none`` or ``pseudo_label``, where nobody teaches,
        nothing adapts it, and it is cut from no wider network."""
        if wider_ways(self.model.ways):
            return False
        return self.teacher is None and is_baseline(self.method.label, self.two_domains)

    @property
    def lineage_epochs(self) -> int:
        """Epochs of its training and of those that it goes on from."""
        return self.training.epochs + (self.parent.epochs if self.parent else 0)

    def task_weight(self, name: str) -> float:
        """What the loss of a task is multiplied by."""
        return self.task_weights.get(name, 1.0)

    @property
    def key(self) -> str:
        """SHA-256 of the task's content."""
        content = self.model_dump(mode="json")
        for name in _ADDED_TRAINING:
            if content["training"][name] == TrainingConfig.model_fields[name].default:
                del content["training"][name]
        if self.model.weights is not None and self.model.weights.sha256:
            content["model"]["weights"] = {"sha256": self.model.weights.sha256}
        if self.parent is not None:  # whose key says what it was
            content["parent"] = self.parent.key
        for name in _ADDED:
            if not content[name]:
                del content[name]
        text = json.dumps(content, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()
