"""What a study keeps of its teachers' answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

from kdsearch.models import Signal
from kdsearch.spec.sections import CacheSection
from kdsearch.spec.teaching import TEACHER
from kdsearch.teacher_cache import CachePlan, read_facts
from kdsearch.training.teacher import SplitName

StorageErrors = Mapping[str, Mapping[str, dict[str, float]]]
"""What storing has changed, by teacher and signal: the figures of
:class:`~kdsearch.teacher_cache.encoding.StorageError`."""


def called(name: str) -> str:
    """A teacher in a sentence."""
    return TEACHER if name == TEACHER else f"teacher {name}"


@dataclass(frozen=True)
class TeacherCache:
    """What is kept of one teacher.

    Attributes:
        plan: The cache of its answers to the training views.
        read: What the methods read of it.
        seconds: What asking for all views of one epoch takes; ``None`` where this process has no
            device of the kind that trials have.
    """

    plan: CachePlan
    read: frozenset[Signal]
    seconds: float | None

    @property
    def whole(self) -> list[Signal]:
        """What is kept for all epochs, the smallest first."""
        epochs = self.plan.subject.epochs
        return [signal for signal, kept in self.plan.kept.items() if kept >= epochs]

    @property
    def live(self) -> list[Signal]:
        """What is read and not kept for all epochs."""
        return sorted(self.read - frozenset(self.whole))

    @property
    def most(self) -> int:
        """Bytes of all that may be kept, if there were room."""
        plan = self.plan
        return sum(plan.sizes.values()) * plan.layout.samples * plan.subject.stored_epochs

    def missing(self, epochs: int) -> int:
        """Parts of the first epochs of which something is not on this node's disk yet."""
        plan = self.plan
        return sum(
            any(
                epoch < kept and read_facts(plan.layout, signal, epoch, part) is None
                for signal, kept in plan.kept.items()
            )
            for epoch, part in product(range(min(epochs, plan.epochs)), plan.layout.parts)
        )

    @property
    def seconds_left(self) -> float | None:
        """What asking for all that is to be kept and not there yet takes."""
        if self.seconds is None:
            return None
        return self.seconds * self.missing(self.plan.epochs) / len(self.plan.layout.parts)


@dataclass(frozen=True)
class Caches:
    """What a study keeps of its teachers' answers.

    Attributes:
        teachers: By the teacher's name; those of whom nothing is read are absent.
        reference: The answers with which students are compared, by split; all or none.
        folder: Where all of it is; absolute, since trials run in folders of their own.
        section: What the spec says.
    """

    teachers: Mapping[str, TeacherCache]
    reference: Mapping[SplitName, CachePlan]
    folder: Path
    section: CacheSection

    @property
    def plans(self) -> list[CachePlan]:
        """Every cache that holds anything."""
        of_training = [cache.plan for cache in self.teachers.values() if cache.plan.epochs]
        return [*of_training, *self.reference.values()]

    @property
    def bytes(self) -> int:
        """Bytes of all that is kept."""
        return sum(plan.bytes for plan in self.plans)

    def in_folder(self, folder: Path) -> Caches:
        """The same in another place, such as a disk of this node's own."""
        return replace(
            self,
            teachers={
                name: replace(cache, plan=cache.plan.in_folder(folder))
                for name, cache in self.teachers.items()
            },
            reference={split: plan.in_folder(folder) for split, plan in self.reference.items()},
            folder=folder,
        )

    def errors(self) -> StorageErrors:
        """What storing the answers has changed, where they are stored in less space.

        Each is the largest of all files on this node's disk.
        """
        if self.section.dtype == "float32" and self.section.top_k is None:
            return {}
        found = {
            name: {signal.value: _largest_error(cache.plan, signal) for signal in cache.plan.kept}
            for name, cache in self.teachers.items()
        }
        return {
            name: {signal: error for signal, error in errors.items() if error.get("worst")}
            for name, errors in found.items()
        }


def _largest_error(plan: CachePlan, signal: Signal) -> dict[str, float]:
    largest: dict[str, float] = {}
    for epoch, part in product(range(plan.epochs), plan.layout.parts):
        facts = read_facts(plan.layout, signal, epoch, part)
        for name, value in (facts["error"] if facts else {}).items():
            largest[name] = max(value, largest.get(name, 0.0))
    return largest
