"""Overrides from the command line: ``--set search.trials=10``."""

from __future__ import annotations

from copy import copy
from typing import Any

from kdsearch.errors import SpecError
from kdsearch.spec.masking import masked_setting
from kdsearch.spec.origin import KeyPath, Origin, dotted, parse_yaml
from kdsearch.spec.wording import brief

_BY_NAME = ("methods", "ways")
"""Sections whose keys are names that may hold dots, and that may be written as a list."""


def apply_override(origin: Origin, text: str) -> None:
    """Set one value of a document that has been read.

    Args:
        origin: The document; its ``data`` is changed.
        text: ``dotted.path=value``; the value is YAML, list items are named by their number,
            sections on the way are made where they are absent.

    Raises:
        SpecError: The text has no ``=``, the value is not YAML, or the path leads nowhere.
    """
    name, equals, value = text.partition("=")
    parts, text = _split(name.strip()), brief(masked_setting(text), 160)
    if not equals or not all(parts):
        raise SpecError(f"--set {text}: write it as section.key=value")
    parsed = _parse(value, text)
    _name_items(origin.data, parts)
    here: Any = origin.data
    path: KeyPath = ()
    for part in parts[:-1]:
        key = _key(here, part, path, text)
        path = (*path, key)
        if here[key] is None:
            here[key] = {}
            origin.override(path, text)
        # copied, since an anchor may share the section with another one, which stays as it is
        here[key] = copy(here[key])
        here = here[key]
    key = _key(here, parts[-1], path, text)
    here[key] = parsed
    origin.override((*path, key), text)


def _split(name: str) -> list[str]:
    """The parts of a dotted path; keys of a method or a way may hold dots of their own."""
    by_name = name.startswith(tuple(f"{section}." for section in _BY_NAME))
    return name.split(".", maxsplit=2) if by_name else name.split(".")


def _parse(value: str, text: str) -> Any:
    try:
        return parse_yaml(Origin("", value))
    except SpecError as error:
        raise SpecError(f"--set {text}: {error.message}") from None


def _name_items(data: dict[str, Any], parts: list[str]) -> None:
    """Turn a plain list of methods or ways into sections, so that one of them can be given a
    value."""
    listed = data.get(parts[0])
    by_name = parts[0] in _BY_NAME and len(parts) > 1 and not parts[1].isdigit()
    if by_name and isinstance(listed, list) and all(isinstance(name, str) for name in listed):
        data[parts[0]] = {name: {} for name in listed}


def _key(here: Any, part: str, path: KeyPath, text: str) -> str | int:
    """``part`` as a key of ``here``; in a section it is there afterwards, empty if it is new."""
    if isinstance(here, dict):
        here.setdefault(part, None)
        return part
    if not isinstance(here, list):
        raise SpecError(f"--set {text}: '{dotted(path)}' is a single value and has no keys")
    if part.isdecimal() and int(part) < len(here):
        return int(part)
    numbers = "is empty" if not here else f"has the items 0 to {len(here) - 1}"
    if len(here) == 1:
        numbers = "has the item 0 alone"
    raise SpecError(f"--set {text}: the list '{dotted(path)}' {numbers}, not '{brief(part)}'")
