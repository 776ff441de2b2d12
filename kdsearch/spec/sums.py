"""Which methods may stand together in a label such as ``kd+at``."""

from __future__ import annotations

from collections.abc import Sequence

from kdsearch.errors import MethodError


def check_sum(label: str, terms: Sequence[tuple[str, str]]) -> None:
    """Refuse a sum of which nobody could tell what it means.

    Args:
        label: As in the spec.
        terms: Name and kind of each of its methods.

    Raises:
        MethodError: It holds a term twice, or more than one logit term.
    """
    names = [name for name, _ in terms]
    for name in names:
        if names.count(name) > 1:
            raise MethodError(f"the method '{label}' holds '{name}' twice; remove one")
    logit = [name for name, kind in terms if kind == "logit"]
    if len(logit) > 1:
        raise MethodError(
            f"the method '{label}' holds more than one logit term ({', '.join(logit)}); keep one "
            "and add feature or relation terms to it"
        )
