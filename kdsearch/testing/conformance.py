"""The suite as one class to inherit."""

from __future__ import annotations

from kdsearch.testing.facts import FactTests
from kdsearch.testing.gradients import GradientTests
from kdsearch.testing.loop import LoopTests
from kdsearch.testing.losses import LossTests
from kdsearch.testing.precision import PrecisionTests
from kdsearch.testing.preparation import PreparationTests
from kdsearch.testing.state import StateTests


class MethodConformance(
    FactTests, LossTests, GradientTests, PrecisionTests, StateTests, PreparationTests, LoopTests
):
    """Everything that every method keeps.

    A subclass, named as pytest wants test classes named, sets :attr:`method`; it may override
    :attr:`hyperparameters`, :attr:`pairs`, :meth:`minimum` and :meth:`align`.
    """
