"""The reused teacher classifier: the student learns the teacher's last map and nothing else."""

from __future__ import annotations

from dataclasses import replace

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from kdsearch.errors import MethodError
from kdsearch.methods import inputs
from kdsearch.methods.base import Method
from kdsearch.methods.hyperparameter import Hyperparameter
from kdsearch.methods.stages import pool_to_common
from kdsearch.methods.targets import Targets
from kdsearch.models.adopted import AdoptedClassifier
from kdsearch.models.network import Network
from kdsearch.models.signals import Signal, SignalKind, Signals, SignalShape, SignalShapes
from kdsearch.spec.ranges import Range


def simkd_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Mean squared difference (Chen et al. 2022, equation 3, as a mean over all values).

    Args:
        student: Projected map [B, C, H, W] or embedding [B, C].
        teacher: Map or embedding of the same shape.
    """
    return F.mse_loss(student, teacher)


class SimKD(Method):
    """The projected last map meets the teacher's, whose classifier then predicts; part ``simkd``.

    The student is an :class:`~kdsearch.models.adopted.AdoptedClassifier`: it ships with the
    projector and the teacher's classifier, both counted in its size. Before the first step the
    teacher's weights are copied into that classifier and frozen. By the paper nothing but this
    term is minimised; the labels are not used.

    Where both networks pool their last stage map, those maps are compared, average-pooled to the
    smaller height and width; elsewhere the embeddings are.

    Raises:
        MethodError: The student's classifier does not take embeddings of the teacher's length.
    """

    name = "simkd"
    kind = "feature"
    paper = (
        "Chen, Mei, Zhang, Wang, Feng & Chen 2022, Knowledge Distillation with the Reused Teacher "
        "Classifier"
    )
    relative_cost = 1.5
    signals = frozenset({Signal.EMBEDDING, Signal.FEATURES})
    hyperparameters = {
        "weight": Hyperparameter(
            1.0, Range(low=0.05, high=5.0, log=True), "weight of the squared error"
        ),
    }
    ce_weight = 0.0
    adopts_classifier = True

    @classmethod
    def unfit(cls, student: SignalShapes, teacher: SignalShapes) -> str | None:
        """Beside the general reasons: a teacher without a linear classifier.

        The student's shapes may be those before or after it has adopted the classifier.
        """
        reason = super().unfit(_with_a_map(student), _with_a_map(teacher))
        if reason is None and not teacher.linear_head:
            return "it takes over the teacher's linear classifier, and the teacher has none"
        return reason

    def __init__(
        self, student: SignalShapes, teacher: SignalShapes, **hyperparameters: float
    ) -> None:
        super().__init__(student, teacher, **hyperparameters)
        if student.embedding != teacher.embedding:
            raise MethodError(
                f"the student has not adopted the teacher's classifier: its embedding has "
                f"{student.embedding} values, the teacher's {teacher.embedding}; build it with "
                "'adopts' set to the teacher's architecture"
            )
        self.by_maps = student.pooled and teacher.pooled
        self.signals = frozenset({Signal.FEATURES if self.by_maps else Signal.EMBEDDING})

    def prepare(self, student: Network, teacher: Network, samples: int) -> None:
        """Copy the teacher's classifier into the student and freeze it there.

        Raises:
            MethodError: The student has not adopted a classifier of the teacher's dimensions.
        """
        head = teacher.head
        if not isinstance(student, AdoptedClassifier) or head is None:
            raise MethodError(
                "the student has not adopted the teacher's classifier; build it with 'adopts' set "
                "to the teacher's architecture"
            )
        with torch.no_grad():
            student.classifier.weight.copy_(head.weight)
            if head.bias is not None:
                student.classifier.bias.copy_(head.bias)
        student.classifier.requires_grad_(False)

    def forward(
        self, student: Signals, teacher: Signals, targets: Targets, progress: float
    ) -> dict[str, Tensor]:
        """``{"simkd": scalar}``."""
        if not self.by_maps:
            return {"simkd": simkd_loss(*inputs.embeddings(student, teacher))}
        f_s, f_t = pool_to_common(*inputs.maps(student.features[-1], teacher.features[-1]))
        return {"simkd": simkd_loss(f_s, f_t)}


def _with_a_map(shapes: SignalShapes) -> SignalShapes:
    """A network that ends in no map as the method sees it: its embedding is a map of one pixel."""
    pixel = SignalShape(SignalKind.MAP, (shapes.embedding, 1, 1))
    ends_in_a_map = shapes.features and shapes.features[-1].kind == SignalKind.MAP
    return replace(shapes, features=shapes.features if ends_in_a_map else (pixel,))
