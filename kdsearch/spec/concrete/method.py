"""One distillation objective."""

from __future__ import annotations

from pydantic import Field

from kdsearch.spec.base import Section
from kdsearch.spec.values import Number


class TermConfig(Section):
    """One term of a distillation objective."""

    name: str
    """The name that the method gives itself."""
    hyperparameters: dict[str, Number] = {}
    """The method's own values, its ``weight`` among them; absent ones take published defaults."""


class MethodConfig(Section):
    """A distillation objective: weighted cross-entropy plus a sum of terms."""

    label: str
    """The name in the spec: terms joined by ``+``."""
    ce_weight: Number = Field(default=1.0, ge=0)
    """Weight of the cross-entropy with the labels."""
    terms: tuple[TermConfig, ...] = ()
    """The distillation terms; none at all for the undistilled baseline."""
