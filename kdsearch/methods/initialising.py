"""Terms that prepare the student: alone at first, then without any weight."""

from __future__ import annotations

from kdsearch.errors import MethodError
from kdsearch.methods.base import Method
from kdsearch.methods.hyperparameter import Hyperparameter, share
from kdsearch.models.signals import SignalShapes

INITIALISATION: Hyperparameter = share(
    "share of the training in which the term alone trains the student", 30 / 240
)
"""The hyperparameter that such a method has; 30 of 240 epochs are the published ones."""


class InitialisingMethod(Method):
    """A method whose paper trains the student with its loss first, and without it afterwards.

    Only the weights that the first phase leaves behind carry the knowledge. Its time counts as
    part of the training, so that all methods have one budget. A subclass lists
    :data:`INITIALISATION` as ``initialisation`` among its hyperparameters.

    Raises:
        MethodError: The term would never count, because ``initialisation`` ends before ``start``.
    """

    def __init__(
        self, student: SignalShapes, teacher: SignalShapes, **hyperparameters: float
    ) -> None:
        super().__init__(student, teacher, **hyperparameters)
        start, end = self.values["start"], self.values["initialisation"]
        if end <= start:
            raise MethodError(
                f"{self.name} counts until {end:g} of the training is done, but starts at "
                f"{start:g}; set initialisation above start"
            )

    def initialises(self, progress: float) -> bool:
        """Whether ``progress`` lies between ``start``, by default 0, and ``initialisation``."""
        return self.values["start"] <= progress < self.values["initialisation"]

    def factor(self, progress: float) -> float:
        """Weight and schedule during the initialisation, then 0."""
        return super().factor(progress) if self.initialises(progress) else 0.0
