"""Distillation methods: pure losses, the modules that declare them, and the sums they form.

``METHODS`` holds every method by name. A label such as ``"kd+at"`` names a sum of them;
:func:`method_config` gives its terms their values, and :class:`Objective` is the loss that a
training minimises.
"""

from kdsearch.methods.base import Hyperparameter, Kind, Method
from kdsearch.methods.objective import Objective
from kdsearch.methods.registry import (
    METHODS,
    UNDISTILLED,
    label_hyperparameters,
    method_config,
    method_names,
    parse_label,
)
from kdsearch.methods.targets import Targets

__all__ = [
    "METHODS",
    "UNDISTILLED",
    "Hyperparameter",
    "Kind",
    "Method",
    "Objective",
    "Targets",
    "label_hyperparameters",
    "method_config",
    "method_names",
    "parse_label",
]
