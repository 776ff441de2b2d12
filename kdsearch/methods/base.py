"""The one interface of every distillation method."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping
from typing import Any, ClassVar, Literal, get_args

from torch import Tensor, nn

from kdsearch.errors import MethodError
from kdsearch.methods.hyperparameter import SCHEDULE, Hyperparameter, idle, schedule_factor
from kdsearch.methods.targets import Targets
from kdsearch.models.network import Network
from kdsearch.models.signals import Signal, SignalKind, Signals, SignalShape, SignalShapes
from kdsearch.problems import Kind as TaskKind
from kdsearch.spec.names import suggest

Kind = Literal[
    "logit",
    "feature",
    "relation",
    "adversarial",
    "parameter",
    "unlabelled",
    "domain",
    "statistics",
]
KINDS: tuple[str, ...] = get_args(Kind)

WITHOUT_LOSS: frozenset[str] = frozenset({"parameter", "statistics"})
"""Kinds of methods that add no loss: they set weights before a training, or the statistics of
batch normalisation before an evaluation."""

STAGES = frozenset({Signal.FEATURES, Signal.ATTENTION, Signal.PREACTIVATION})
"""Signals that are read at the stages of a network."""


class Method(nn.Module, ABC):
    """One term of a distillation objective.

    A subclass states its facts as class attributes, makes its learnable helpers (projectors,
    log-variances, discriminators) in ``__init__``, and returns its named loss parts, unweighted,
    from ``forward``. The objective multiplies their sum by the hyperparameter ``weight`` and by
    the term's schedule; what :attr:`helper_parts` names is taken as it is.

    Every method with a loss has the hyperparameters of
    :data:`~kdsearch.methods.hyperparameter.SCHEDULE` beside its own; a subclass that lists one of
    them gives it another published default.

    Args:
        student: What is known of the student.
        teacher: What is known of the teacher.
        hyperparameters: Values by name; absent ones take the published defaults.

    Attributes:
        values: Every hyperparameter with its value.
        task: The kind of the task that is distilled, where the method reads logits.

    Raises:
        MethodError: A hyperparameter the method does not have, or a pair of networks on which the
            method cannot work.
    """

    name: ClassVar[str]
    """The name in the spec."""
    kind: ClassVar[Kind]
    """A sum holds at most one logit term and any number of others."""
    paper: ClassVar[str]
    """Authors, year and title."""
    signals: frozenset[Signal]
    """Exactly what the method reads of both networks; an instance may read less than its class."""
    teacher_signals: frozenset[Signal] = frozenset()
    """What it reads of the teacher in place of ``signals``; empty where that is the same."""
    takes: ClassVar[frozenset[SignalKind]] = frozenset({SignalKind.MAP})
    """Kinds of stages that it can compare, where it reads stages."""
    hyperparameters: ClassVar[Mapping[str, Hyperparameter]]
    """Values by name; ``weight`` is among them for every method with a loss."""
    ce_weight: ClassVar[float] = 1.0
    """Published weight of the cross-entropy beside this term."""
    helper_parts: ClassVar[frozenset[str]] = frozenset()
    """Loss parts that train the method's helpers alone: neither weighted nor scheduled."""
    batchwise: ClassVar[bool] = False
    """Whether samples of a batch are compared with each other; data-parallel workers then compare
    those of their own share only."""
    by_sample: ClassVar[bool] = False
    """Whether outputs are remembered by sample (``targets.index``); impossible under mixup and
    CutMix."""
    tasks: ClassVar[frozenset[TaskKind]] = frozenset({"class"})
    """Kinds of tasks that it distils, where it reads logits; each task by itself."""
    counts_for: ClassVar[Mapping[str, frozenset[TaskKind]]] = {}
    """Kinds of tasks for which a hyperparameter has an effect, where not for all of ``tasks``."""
    by_label: ClassVar[bool] = False
    """Whether it reads the class of every sample (``targets.labels``); other methods learn from
    samples without one too."""
    needs_teacher: ClassVar[bool] = True
    """Whether it compares the student with a teacher. A label of methods that need none, and of
    which none ``adapts``, is a baseline: the gains of all others are over the best of them."""
    unlabelled: ClassVar[bool] = False
    """Whether it learns from the samples without a class alone, which it tells by
    ``targets.labels``."""
    adapts: ClassVar[bool] = False
    """Whether it adapts the student to a target domain, whose samples ``targets.domain`` tells;
    it works only where a study has a ``target``."""
    strong_view: ClassVar[bool] = False
    """Whether it reads the student's signals of a strong view of each sample (``student.strong``),
    which is that of ``data.strong_augment``."""
    relative_cost: ClassVar[float] = 1.0
    """Time of a training step with this term alone, as a multiple of one without any: the search
    shares out work by it, and a third more or less does no harm."""
    adopts_classifier: ClassVar[bool] = False
    """Whether the student ships with a projector and the teacher's classifier."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        own = cls.__dict__.get("hyperparameters")
        if own is not None and getattr(cls, "kind", None) not in WITHOUT_LOSS:
            cls.hyperparameters = {**own, **{k: v for k, v in SCHEDULE.items() if k not in own}}

    def __init__(
        self, student: SignalShapes, teacher: SignalShapes, **hyperparameters: float
    ) -> None:
        super().__init__()
        for name in hyperparameters:
            if name not in self.hyperparameters:
                raise MethodError(
                    f"{self.name} has no hyperparameter '{name}'; "
                    f"{suggest(name, self.hyperparameters)}"
                )
        reason = self.unfit(student, teacher)
        if reason:
            raise MethodError(f"{self.name} cannot work on this pair: {reason}")
        self.values = {
            name: hyperparameters.get(name, declared.default)
            for name, declared in self.hyperparameters.items()
        }
        self.task: TaskKind = "class"
        fault = None if self.kind in WITHOUT_LOSS else idle(self.values)
        if fault:
            raise MethodError(f"{self.name}: {fault}")

    @classmethod
    def unfit(cls, student: SignalShapes, teacher: SignalShapes) -> str | None:
        """Why the method cannot work on a pair of networks, or ``None`` if it can.

        A subclass asks its ``super()`` first: that the classes agree where it reads the teacher's
        logits or takes weights over, and in the latter case that the teacher's own outputs are
        these classes; that both networks have the declared signals, stages of the kinds that it
        takes.
        """
        takes_over = cls.adopts_classifier or cls.kind == "parameter"
        if takes_over or Signal.LOGITS in read_of_teacher(cls):
            if not teacher.answers:
                return "the teacher's outputs are not the classes of the data, which it reads"
            if student.classes != teacher.classes:
                return f"the student has {student.classes} classes, the teacher {teacher.classes}"
        if takes_over and not teacher.own_classes:
            return (
                "it takes over layers of the teacher, whose own outputs only stand for the classes "
                "of the data"
            )
        read = {"student": student} | ({"teacher": teacher} if cls.needs_teacher else {})
        for who, shapes in read.items():
            lacking = cls._lacking(who, shapes)
            if lacking:
                return lacking
        return None

    @classmethod
    def _lacking(cls, who: str, shapes: SignalShapes) -> str | None:
        """What the method reads and a network does not have."""
        has_none = f"and the {_named(who, shapes)} has none"
        if cls.signals & STAGES:
            if not shapes.features:
                only_maps = cls.takes == {SignalKind.MAP}
                return f"it compares {'stage maps' if only_maps else 'stages'}, {has_none}"
            if not {each.kind for each in shapes.features} <= cls.takes:
                told = f"and the {who}'s features are {_kinds(shapes.features)}"
                return f"it compares {listed(cls.takes)}, {told}"
        if Signal.EMBEDDING in cls.signals and not shapes.embedding:
            return f"it compares embeddings, {has_none}"
        if Signal.SELF_ATTENTION in cls.signals and not shapes.self_attention:
            return f"it compares attention over pairs of positions, {has_none}"
        return None

    def prepare(self, student: Network, teacher: Network, samples: int) -> None:
        """Called once, before the first step of a training; does nothing unless overridden.

        Args:
            student: The student, whose weights the method may set.
            teacher: The trained teacher, not to be changed.
            samples: Number of training samples; every ``targets.index`` is below it.
        """

    def initialises(self, progress: float) -> bool:
        """Whether the term is now trained alone, as an initialisation of the student.

        The objective then leaves out the cross-entropy and every other term. The time counts as
        part of the training, so that all methods have one budget.

        Args:
            progress: Share of the training that is done, in [0, 1].
        """
        return False

    def factor(self, progress: float) -> float:
        """What the term is multiplied by at this time: its weight and its schedule.

        0 for a method without a loss.
        """
        if self.kind in WITHOUT_LOSS:
            return 0.0
        return self.values["weight"] * schedule_factor(self.values, progress)

    @abstractmethod
    def forward(
        self, student: Signals, teacher: Signals, targets: Targets, progress: float
    ) -> dict[str, Tensor]:
        """Named loss parts, each a scalar that is a mean over the batch.

        Args:
            student: The student's signals, with gradient.
            teacher: The teacher's signals, without.
            targets: The targets of the batch in the task; of a method that reads no logits those
                of the first task of classes that no sample lacks, else of the first of classes, or
                of all.
            progress: Share of the training that is done, in [0, 1].
        """


def read_of_teacher(method: Method | type[Method]) -> frozenset[Signal]:
    """What a method reads of the teacher: nothing where it needs none."""
    return method.teacher_signals or method.signals if method.needs_teacher else frozenset()


def _named(who: str, shapes: SignalShapes) -> str:
    """A network in a reason; what shows logits alone is several of them, as an average is."""
    alone = not shapes.embedding and not shapes.features
    return f"group of {who}s" if alone else who


def _kinds(stages: Iterable[SignalShape]) -> str:
    return listed({each.kind for each in stages})


def listed(kinds: Collection[SignalKind]) -> str:
    """Kinds of stages in the plural: "vectors, maps and sequences"."""
    *others, last = (f"{kind}s" for kind in SignalKind if kind in kinds)
    return f"{', '.join(others)} and {last}" if others else last
