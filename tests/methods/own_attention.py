"""A method as a user writes it, of attention over pairs: ``tests.methods.own_attention:Pairs``."""

from __future__ import annotations

from torch import Tensor

from kdsearch.methods import Hyperparameter, Method, Targets, inputs
from kdsearch.models import Signal, Signals
from kdsearch.spec.ranges import Range


class Pairs(Method):
    """Mean squared difference of the last layers' attention over pairs of real positions.

    The loss of attention of Jiao et al. 2020, of one layer and behind the softmax.
    """

    name, kind, paper = "pairs", "feature", "Jiao et al. 2020, TinyBERT"
    signals = frozenset({Signal.SELF_ATTENTION})
    hyperparameters = {"weight": Hyperparameter(1.0, Range(low=0.1, high=20, log=True), "weight")}

    def forward(
        self, student: Signals, teacher: Signals, targets: Targets, progress: float
    ) -> dict[str, Tensor]:
        a_s, a_t = inputs.maps(student.self_attention[-1], teacher.self_attention[-1])
        assert student.mask is not None
        real = (student.mask[:, :, None] & student.mask[:, None, :])[:, None].expand_as(a_s)
        errors = (a_s - a_t).masked_fill(~real, 0).square()
        return {"pairs": (errors.sum(dim=(1, 2, 3)) / real.sum(dim=(1, 2, 3))).mean()}
