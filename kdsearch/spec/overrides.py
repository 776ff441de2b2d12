"""Overrides from the command line: ``--set search.trials=10``."""

from __future__ import annotations

from copy import copy
from typing import Any

from kdsearch.errors import SpecError
from kdsearch.spec.masking import masked_setting
from kdsearch.spec.origin import KeyPath, Origin, dotted, parse_yaml
from kdsearch.spec.wording import brief


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
    _name_methods(origin.data, parts)
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
    """The parts of a dotted path; a method's own keys may hold dots of their own."""
    return name.split(".", maxsplit=2) if name.startswith("methods.") else name.split(".")


def _parse(value: str, text: str) -> Any:
    try:
        return parse_yaml(Origin("", value))
    except SpecError as error:
        raise SpecError(f"--set {text}: {error.message}") from None


def _name_methods(data: dict[str, Any], parts: list[str]) -> None:
    """Turn a plain list of methods into sections, so that one of them can be given a value."""
    methods = data.get("methods")
    by_name = parts[0] == "methods" and len(parts) > 1 and not parts[1].isdigit()
    if by_name and isinstance(methods, list) and all(isinstance(name, str) for name in methods):
        data["methods"] = {name: {} for name in methods}


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
