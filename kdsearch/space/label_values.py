"""The values that a study gives to its methods and ways."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from kdsearch.errors import KdsearchError
from kdsearch.methods import idle_hyperparameters, label_hyperparameters
from kdsearch.spec.hyperparameter import Hyperparameter, lacking
from kdsearch.spec.ranges import Dimension, Range, every
from kdsearch.spec.study import StudySpec
from kdsearch.ways import way_hyperparameters


def check_methods(spec: StudySpec) -> None:
    """Refuse labels, names and values that no method has, and values without effect.

    Raises:
        SpecError: The message gives its line.
    """
    _check(spec, "methods", spec.methods, label_hyperparameters)
    for label, given in spec.methods.items():
        for name in given:
            if name in idle_hyperparameters(label, spec.problem.kinds):
                kinds = " or ".join(sorted(spec.problem.kinds))
                told = f"{name} has no effect on a task of kind {kinds}; remove it"
                raise spec.refuse(("methods", label, name), told)


def check_ways(spec: StudySpec) -> None:
    """Refuse labels, names and values that no way has.

    Raises:
        SpecError: The message gives its line.
    """
    _check(spec, "ways", spec.ways, way_hyperparameters)


def _check(
    spec: StudySpec,
    section: str,
    labels: Mapping[str, Mapping[str, Dimension]],
    values_of: Callable[[str], Mapping[str, Hyperparameter]],
) -> None:
    for label, given in labels.items():
        try:
            declared = values_of(label)
        except KdsearchError as error:
            raise spec.refuse((section, label), str(error)) from None
        for name, dimension in given.items():
            told = _fault(label, name, dimension, declared)
            if told is not None:
                raise spec.refuse((section, label, name), told)


def _fault(
    label: str, name: str, dimension: Dimension, declared: Mapping[str, Hyperparameter]
) -> str | None:
    """What is wrong with what a value may be; ``None`` where it is sound."""
    told = lacking(label, name, declared)
    if told is not None:
        return told
    for value in every(dimension):
        fault = declared[name].fault(value)
        if fault is not None:
            return f"{label}: '{name}' {fault}"
    whole = declared[name].whole
    if whole and isinstance(dimension, Range) and (dimension.step or 1) % 1:
        return f"{name} is a whole number; its step ({dimension.step:g}) is not"
    return None
