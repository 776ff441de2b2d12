"""Overrides from the command line: ``--set search.trials=10``."""

from __future__ import annotations

from typing import Any

import yaml

from kdsearch.errors import SpecError
from kdsearch.spec.origin import Origin
from kdsearch.spec.origin import Path as KeyPath


def apply_override(origin: Origin, text: str) -> None:
    """Set one value of a document that has been read.

    Args:
        origin: The document; its ``data`` is changed.
        text: ``dotted.path=value``; the value is YAML, list items are named by their number.

    Raises:
        SpecError: The text has no ``=``, the value is not YAML, or the path leads nowhere.
    """
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise SpecError(f"--set {text}: write it as section.key=value")
    try:
        parsed = yaml.safe_load(value)
    except yaml.YAMLError:
        raise SpecError(f"--set {text}: '{value}' is not a YAML value; quote it") from None
    path = _split(name)
    here: Any = origin.data
    for part in path[:-1]:
        here = _step(here, part, text)
    if isinstance(here, list):
        _step(here, path[-1], text)
    elif not isinstance(here, dict):
        raise SpecError(f"--set {text}: '{path[-2]}' is a single value and has no keys")
    here[path[-1]] = parsed
    origin.overridden[path] = text


def _split(name: str) -> KeyPath:
    """Keys and indices of a dotted path; a method's own keys may hold dots of their own."""
    parts = name.split(".", maxsplit=2) if name.startswith("methods.") else name.split(".")
    return tuple(int(part) if part.isdigit() else part for part in parts)


def _step(here: Any, part: str | int, text: str) -> Any:
    """The value under ``part``, made as an empty section where it is absent."""
    if isinstance(here, dict):
        if here.get(part) is None:
            here[part] = {}
        return here[part]
    if isinstance(here, list):
        if isinstance(part, int) and part < len(here):
            return here[part]
        raise SpecError(f"--set {text}: the list has items 0 to {len(here) - 1}, not '{part}'")
    raise SpecError(f"--set {text}: '{part}' lies inside a single value, which has no keys")
