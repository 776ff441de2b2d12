"""Sums of methods in the spec: a label, its terms, and the values that they can be given."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from kdsearch.errors import MethodError
from kdsearch.methods.base import Method
from kdsearch.methods.hyperparameter import SCHEDULE, Hyperparameter
from kdsearch.methods.registry import find_method, method_names
from kdsearch.problems import Kind
from kdsearch.spec.concrete import MethodConfig, TermConfig
from kdsearch.spec.hyperparameter import lacking
from kdsearch.spec.names import suggest
from kdsearch.spec.ranges import Dimension
from kdsearch.spec.sums import check_sum
from kdsearch.spec.teaching import UNDISTILLED

CE_WEIGHT = "ce_weight"
"""Name of the cross-entropy's weight beside the terms' own hyperparameters."""


def parse_label(label: str) -> tuple[type[Method], ...]:
    """The terms of a label such as ``"kd+at"``, in its order; ``()`` for ``"none"``.

    Raises:
        MethodError: An unknown name (with the nearest valid one), an empty name, a term twice,
            more than one logit term, or ``none`` inside a sum.
    """
    if label == UNDISTILLED:
        return ()
    names = label.split("+")
    for name in names:
        _check_name(label, name)
    terms = tuple(find_method(name) for name in names)
    check_sum(label, [(term.name, term.kind) for term in terms])
    return terms


def needs_teacher(label: str) -> bool:
    """Whether somebody teaches a student that is trained by a label: nobody by ``"none"``.

    Raises:
        MethodError: As :func:`parse_label`.
    """
    return any(term.needs_teacher for term in parse_label(label))


def is_baseline(label: str, two_domains: bool = False) -> bool:
    """Whether gains are over the students that are trained by a label: as by ``"none"``.

    Nobody teaches them, and none of their terms adapts them to a target domain: what learns from
    samples without a class does so where these are of another domain.

    Args:
        label: The method.
        two_domains: Whether the study has a target domain.

    Raises:
        MethodError: As :func:`parse_label`.
    """
    return not any(
        term.needs_teacher or term.adapts or (two_domains and term.unlabelled)
        for term in parse_label(label)
    )


def reads_strong_view(label: str) -> bool:
    """Whether a label's terms read a strong view of each sample.

    Raises:
        MethodError: As :func:`parse_label`.
    """
    return any(term.strong_view for term in parse_label(label))


def label_hyperparameters(label: str) -> dict[str, Hyperparameter]:
    """Every value that a label can be given, by name.

    A single term's values have its own names (``"temperature"``), a sum's are preceded by the
    term (``"kd.temperature"``). ``"ce_weight"`` comes last; its default is the published one of
    the first term whose paper lowers it. The undistilled baseline has no values.

    Raises:
        MethodError: As :func:`parse_label`.
    """
    terms = parse_label(label)
    if not terms:
        return {}
    found = {
        _full_name(terms, term, name): declared
        for term in terms
        for name, declared in term.hyperparameters.items()
    }
    published = next((term.ce_weight for term in terms if term.ce_weight != 1.0), 1.0)
    found[CE_WEIGHT] = Hyperparameter(published, None, "weight of the cross-entropy")
    return found


def idle_hyperparameters(label: str, kinds: Collection[Kind]) -> frozenset[str]:
    """Values of a label, by name, that change nothing in tasks of these kinds.

    Raises:
        MethodError: As :func:`parse_label`.
    """
    terms = parse_label(label)
    return frozenset(
        _full_name(terms, term, name)
        for term in terms
        for name, counts in term.counts_for.items()
        if counts.isdisjoint(kinds)
    )


def searched_hyperparameters(
    label: str, given: Mapping[str, Dimension], kinds: Collection[Kind]
) -> dict[str, tuple[Hyperparameter, Dimension]]:
    """Each value of a label with what it may be: as given, else as the method searches it.

    Args:
        label: As in the spec.
        given: What the spec says of its values.
        kinds: Of the study's tasks; values that change nothing in these are left out.

    Raises:
        MethodError: As :func:`parse_label`.
    """
    idle = idle_hyperparameters(label, kinds)
    return {
        name: (declared, given.get(name, declared.search or declared.default))
        for name, declared in label_hyperparameters(label).items()
        if name not in idle
    }


def find_hyperparameter(label: str, name: str) -> Hyperparameter:
    """What a label's value of a name may be.

    Raises:
        MethodError: As :func:`parse_label`; the label has no such value.
    """
    declared = label_hyperparameters(label)
    told = lacking(label, name, declared)
    if told is not None:
        raise MethodError(told)
    return declared[name]


def method_config(label: str, values: Mapping[str, float]) -> MethodConfig:
    """The objective of a label with ``values`` in place and published defaults elsewhere.

    Args:
        label: As in the spec.
        values: By the names of :func:`label_hyperparameters`.

    Raises:
        MethodError: As :func:`parse_label`; a name the label does not have; a value that is not
            possible.
    """
    terms = parse_label(label)
    declared = label_hyperparameters(label)
    for name, value in values.items():
        check_value(label, name, find_hyperparameter(label, name), value)
    full = {name: float(values.get(name, given.default)) for name, given in declared.items()}
    return MethodConfig(
        label=label,
        ce_weight=full.get(CE_WEIGHT, 1.0),
        terms=tuple(
            TermConfig(name=term.name, hyperparameters=_own_values(terms, term, full))
            for term in terms
        ),
    )


def _own_values(
    terms: tuple[type[Method], ...], term: type[Method], full: Mapping[str, float]
) -> dict[str, float]:
    """A term's values by its own names, without the schedule that changes nothing."""
    values = {name: full[_full_name(terms, term, name)] for name in term.hyperparameters}
    return {
        name: value
        for name, value in values.items()
        if name not in SCHEDULE or value or term.hyperparameters[name].default
    }


def check_value(label: str, name: str, declared: Hyperparameter, value: object) -> None:
    """Refuse a value that no loss can work with.

    Args:
        label: The method, for the message.
        name: The hyperparameter, preceded by its term or not.
        declared: What the method says of it.
        value: The value given.

    Raises:
        MethodError: Not a finite number; below the smallest or above the largest value that makes
            sense; not a whole number of at least 1 where only those do.
    """
    fault = declared.fault(value)
    if fault is not None:
        raise MethodError(f"{label}: '{name}' {fault}")


def _check_name(label: str, name: str) -> None:
    if not name:
        raise MethodError(
            f"'{label}' names no method on one side of '+'; write it as kd or kd+at"
            if label
            else f"the method's name is empty; {suggest(name, method_names())}"
        )
    if name == UNDISTILLED:
        raise MethodError(
            f"'{UNDISTILLED}' is the undistilled baseline and cannot be part of the sum '{label}'; "
            "list it by itself"
        )


def _full_name(terms: tuple[type[Method], ...], term: type[Method], name: str) -> str:
    return name if len(terms) == 1 else f"{term.name}.{name}"
