"""The student starts from its teacher's weights: slices of its layers, or some of its layers."""

from __future__ import annotations

from torch import Tensor

from kdsearch.compression.matching import Shapes, copy_leading, misfit
from kdsearch.methods.base import Method
from kdsearch.methods.targets import Targets
from kdsearch.models.adopted import BACKBONE
from kdsearch.models.network import Network
from kdsearch.models.signals import Signals, SignalShapes


class WeightCopy(Method):
    """The student starts from the teacher's weights and is then trained by the other terms.

    A narrower layer takes the leading slice of the teacher's, in every dimension; a shallower
    network takes some of its layers. Buffers such as batch statistics are
    copied too. Slices follow no concatenation or split of channels: behind one, a sliced layer
    starts with weights that belonged to other channels.
    """

    name = "weight_copy"
    kind = "parameter"
    paper = "Sanh, Debut, Chaumond & Wolf 2019, DistilBERT, a Distilled Version of BERT (section 3)"
    signals = frozenset()
    hyperparameters = {}

    @classmethod
    def unfit(cls, student: SignalShapes, teacher: SignalShapes) -> str | None:
        """Beside the general reasons: other families, or layers that do not match or fit."""
        reason = super().unfit(student, teacher)
        if reason is not None:
            return reason
        if _adopts(student.weights) and not _adopts(teacher.weights):
            return (
                "the student adopts the teacher's classifier, so its layers are not the teacher's"
            )
        for who, shapes in (("student", student), ("teacher", teacher)):
            if not (shapes.family and shapes.weights):
                return f"it copies weights, and the {who}'s are not known"
        if student.inputs != teacher.inputs:
            return (
                f"the student takes {', '.join(student.inputs)}, the teacher "
                f"{', '.join(teacher.inputs)}, so their first layers are not alike"
            )
        if student.family != teacher.family:
            return f"the student is a {student.family}, the teacher a {teacher.family}"
        return misfit(student.weights, teacher.weights)

    def prepare(self, student: Network, teacher: Network, samples: int) -> None:
        """Fill the student with leading slices of the teacher's parameters and buffers."""
        reason = copy_leading(teacher, student)
        assert reason is None, "the networks are not those of the shapes"

    def forward(
        self, student: Signals, teacher: Signals, targets: Targets, progress: float
    ) -> dict[str, Tensor]:
        """No part at all."""
        return {}


def _adopts(weights: Shapes) -> bool:
    return any(name.startswith(f"{BACKBONE}.") for name in weights)
