"""The caches of a study, and what of them is on disk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

from kdsearch.models import Signal
from kdsearch.spec.sections import CacheSection
from kdsearch.teacher_cache.cache_plan import CachePlan
from kdsearch.teacher_cache.parts import missing, read_facts
from kdsearch.training.teacher import SplitName

StorageErrors = Mapping[str, Mapping[str, dict[str, float]]]
"""How far stored signals are from the computed ones, by teacher and signal: the figures of
:class:`~kdsearch.teacher_cache.encoding.StorageError`."""


@dataclass(frozen=True)
class TeacherCache:
    """The cache of one teacher.

    Attributes:
        plan: The cache of its signals on the training views.
        read: The signals that the methods read.
        seconds: What computing all views of one epoch takes; ``None`` where this process has no
            device of the kind that trials have.
    """

    plan: CachePlan
    read: frozenset[Signal]
    seconds: float | None

    @property
    def whole(self) -> list[Signal]:
        """Signals that are cached for all epochs, the smallest first."""
        epochs = self.plan.views.epochs
        return [signal for signal, cached in self.plan.cached.items() if cached >= epochs]

    @property
    def live(self) -> list[Signal]:
        """Signals that are read and not cached for all epochs."""
        return sorted(self.read - frozenset(self.whole))

    @property
    def most(self) -> int:
        """Bytes of all that may be cached, if there were room."""
        plan = self.plan
        return sum(plan.sizes.values()) * plan.samples * plan.views.stored_epochs

    def missing(self, epochs: int) -> int:
        """Parts of the first epochs of which something is not on this node's disk yet."""
        parts = product(range(min(epochs, self.plan.epochs)), self.plan.parts)
        return sum(bool(missing(self.plan, epoch, part)) for epoch, part in parts)

    @property
    def seconds_left(self) -> float | None:
        """What computing all that is to be cached and is not there yet takes."""
        if self.seconds is None:
            return None
        return self.seconds * self.missing(self.plan.epochs) / len(self.plan.parts)


@dataclass(frozen=True)
class Caches:
    """The caches of a study.

    Attributes:
        teachers: By the teacher's name; those of whom nothing is read are absent.
        reference: The logits with which students are compared, by split and by the teacher's
            name; all or none.
        folder: Where all of it is; absolute, since trials run in folders of their own.
        section: The spec's settings.
    """

    teachers: Mapping[str, TeacherCache]
    reference: Mapping[SplitName, Mapping[str, CachePlan]]
    folder: Path
    section: CacheSection

    @property
    def plans(self) -> list[CachePlan]:
        """Every cache that holds anything."""
        of_training = [cache.plan for cache in self.teachers.values() if cache.plan.epochs]
        return [*of_training, *self.of_reference]

    @property
    def of_reference(self) -> list[CachePlan]:
        """Every cache of logits with which students are compared."""
        return [plan for plans in self.reference.values() for plan in plans.values()]

    @property
    def bytes(self) -> int:
        """Bytes of all that is cached."""
        return sum(plan.bytes for plan in self.plans)

    def in_folder(self, folder: Path) -> Caches:
        """The same in another folder, such as on a disk of this node's own."""
        teachers = {
            name: replace(cache, plan=replace(cache.plan, folder=folder))
            for name, cache in self.teachers.items()
        }
        reference = {
            split: {name: replace(plan, folder=folder) for name, plan in plans.items()}
            for split, plans in self.reference.items()
        }
        return replace(self, teachers=teachers, reference=reference, folder=folder)

    def errors(self) -> StorageErrors:
        """How far signals that are stored in less space are from the computed ones.

        Each figure is the largest of all files on this node's disk.
        """
        found: dict[str, dict[str, dict[str, float]]] = {}
        for name, cache in self.teachers.items():
            lossy = [signal for signal in cache.plan.cached if cache.plan.loses(signal)]
            errors = {signal.value: _largest_error(cache.plan, signal) for signal in lossy}
            found[name] = {signal: error for signal, error in errors.items() if error.get("worst")}
        return found


def _largest_error(plan: CachePlan, signal: Signal) -> dict[str, float]:
    largest: dict[str, float] = {}
    for epoch, part in product(range(plan.epochs), plan.parts):
        facts = read_facts(plan, signal, epoch, part)
        for name, value in (facts["error"] if facts else {}).items():
            largest[name] = max(value, largest.get(name, 0.0))
    return largest
