"""The one interface of every distillation method."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import Tensor, nn

from kdsearch.errors import MethodError
from kdsearch.methods.targets import Targets
from kdsearch.models.signals import Signal, Signals, SignalShapes
from kdsearch.spec.names import suggest
from kdsearch.spec.ranges import Choices, Range

Kind = Literal["logit", "feature", "relation"]


@dataclass(frozen=True)
class Hyperparameter:
    """One value of a method, with its published default beside its search range.

    Attributes:
        default: The value of the paper or of its reference implementation.
        search: Range or choices that a search draws from; ``None`` keeps the default.
        about: What the value does, in a few words.
        whole: Whether only whole numbers make sense.
        minimum: Smallest value that makes sense.
    """

    default: float
    search: Range | Choices | None
    about: str
    whole: bool = False
    minimum: float = 0.0


WEIGHT_RANGE = Range(low=0.1, high=20.0, log=True)
"""Range of the weight of every logit term: the same for all, since gains of some published
methods are partly gains of weight."""

TEMPERATURE = Hyperparameter(
    4.0, Range(low=1.0, high=16.0, log=True), "softmax temperature", minimum=0.05
)


class Method(nn.Module, ABC):
    """One term of a distillation objective.

    A subclass states its facts as class attributes, makes its learnable helpers (projectors,
    log-variances) in ``__init__``, and returns its named loss parts, unweighted, from ``forward``.
    The objective multiplies their sum by the hyperparameter ``weight``.

    Args:
        student: Shapes of the student's signals.
        teacher: Shapes of the teacher's signals.
        hyperparameters: Values by name; absent ones take the published defaults.

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
    signals: ClassVar[frozenset[Signal]]
    """Exactly what the method reads of both networks."""
    hyperparameters: ClassVar[dict[str, Hyperparameter]]
    """Values by name; ``weight`` is always among them."""
    ce_weight: ClassVar[float] = 1.0
    """Published weight of the cross-entropy beside this term."""

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

    @classmethod
    def unfit(cls, student: SignalShapes, teacher: SignalShapes) -> str | None:
        """Why the method cannot work on a pair of networks, or ``None`` if it can."""
        if student.classes != teacher.classes:
            return f"the student has {student.classes} classes, the teacher {teacher.classes}"
        return None

    @abstractmethod
    def forward(
        self, student: Signals, teacher: Signals, targets: Targets, progress: float
    ) -> dict[str, Tensor]:
        """Named loss parts, each a scalar that is a mean over the batch.

        Args:
            student: The student's signals, with gradient.
            teacher: The teacher's signals, without.
            targets: The labels of the batch.
            progress: Share of the training that is done, in [0, 1].
        """
