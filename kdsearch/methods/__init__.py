"""Distillation methods: pure losses, the modules that declare them, and the sums they form.

``METHODS`` holds every method by name. A label such as ``"kd+at"`` names a sum of them;
:func:`method_config` gives its terms their values, and :class:`Objective` is the loss that a
training minimises.
"""

from kdsearch.methods import inputs
from kdsearch.methods.base import Kind, Method
from kdsearch.methods.hyperparameter import Hyperparameter
from kdsearch.methods.labels import (
    idle_hyperparameters,
    is_baseline,
    label_hyperparameters,
    method_config,
    needs_teacher,
    parse_label,
    reads_strong_view,
    searched_hyperparameters,
)
from kdsearch.methods.objective import Objective
from kdsearch.methods.registry import METHODS, find_method, method_names
from kdsearch.methods.targets import Targets
from kdsearch.spec.teaching import UNDISTILLED

__all__ = [
    "METHODS",
    "UNDISTILLED",
    "Hyperparameter",
    "Kind",
    "Method",
    "Objective",
    "Targets",
    "find_method",
    "idle_hyperparameters",
    "inputs",
    "is_baseline",
    "label_hyperparameters",
    "method_config",
    "method_names",
    "needs_teacher",
    "parse_label",
    "reads_strong_view",
    "searched_hyperparameters",
]
