"""Limits that a student has to keep, as a person writes them: ``5ms``, ``1M``, ``97%``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kdsearch.errors import UserError
from kdsearch.problems.described import told_in

RETAINED = "retained"
"""The share of the teacher's score, as a limit."""

_NUMBER = r"[0-9][0-9_,]*\.?[0-9]*(?:[eE][+-]?[0-9]+)?|\.[0-9]+"
_COUNTS = {"": 1.0, "k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9}
_BYTES = {"B": 1.0, "kB": 1e3, "KB": 1e3, "MB": 1e6, "GB": 1e9}
_BYTES |= {"KiB": 2.0**10, "MiB": 2.0**20, "GiB": 2.0**30}
_TIMES = {"us": 1.0, "µs": 1.0, "ms": 1e3, "s": 1e6}


@dataclass(frozen=True)
class Limits:
    """What a student may have at most and must have at least, by the name of size or metric.

    Sizes are in their own unit, latency in microseconds; shares are in [0, 1]. ``retained`` is the
    share of the teacher's score.
    """

    most: Mapping[str, float] = field(default_factory=dict)
    least: Mapping[str, float] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.most or self.least)


def quantity(text: str, name: str, unit: str | None) -> float:
    """A limit as it is written, in the unit of what it limits.

    Args:
        text: Such as ``1M``, ``250kB``, ``5ms``, ``97%``, ``0.97``.
        name: What it limits.
        unit: ``%`` for a share, another unit or an empty text for any other metric, ``None`` for
            a size.

    Raises:
        UserError: It is no such number.
    """
    found = re.fullmatch(rf"\s*({_NUMBER})\s*(\S*)\s*", text)
    value = float(re.sub("[_,]", "", found[1])) if found else float("nan")
    suffix = found[2] if found else ""
    if unit is None:
        scale = _size_units(name).get(suffix)
    elif unit == "%":
        scale = {"%": 0.01, "": 1.0}.get(suffix)
        if scale == 1.0 and value > 1:
            raise UserError(f"{name} {text}: a share; write {value:g}% or {value / 100:g}")
    else:
        scale = {"": 1.0, unit: 1.0}.get(suffix)
    if found is None or scale is None:
        raise UserError(f"{name} {text}: no such quantity; write {_example(name, unit)}")
    return value * scale


def told(content: Mapping[str, Any], name: str, value: float) -> str:
    """A size, a metric or the share retained in words, as :func:`quantity` reads it.

    Args:
        content: That of ``front.json``.
        name: Of what.
        value: In its own unit.
    """
    metric = content["metrics"].get(name)
    if name == RETAINED:
        return told_in("%", value)
    return told_in(metric["unit"], value) if metric else told_size(name, value)


def told_size(name: str, value: float) -> str:
    """A size in words: ``10,895 parameters``, ``43.6 kB``, ``1.23 ms``."""
    if name.endswith("latency"):
        return f"{value / 1e3:.3g} ms" if value >= 1e3 else f"{value:.3g} µs"
    if name.endswith(("bytes", "memory")):
        for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
            if value >= factor:
                return f"{value / factor:.3g} {unit}"
        return f"{value:,.0f} bytes"
    return f"{value:,.0f} {'MACs' if name == 'macs' else name}"


def _size_units(name: str) -> Mapping[str, float]:
    if name.endswith("latency"):
        return {"": 1.0, **_TIMES}
    if name.endswith("bytes"):
        return {**_COUNTS, **_BYTES}
    return _COUNTS


def _example(name: str, unit: str | None) -> str:
    if unit is None:
        if name.endswith("latency"):
            return "such as 5ms or 250us"
        return "such as 250kB or 1MB" if name.endswith("bytes") else "such as 20k or 1M"
    return "such as 97% or 0.97" if unit == "%" else "a number"
