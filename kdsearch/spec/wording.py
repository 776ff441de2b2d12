"""pydantic's reasons in the words of this project."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from kdsearch.redaction import redacted_uri
from kdsearch.spec.names import suggest

_REASONS: Mapping[str, str] = MappingProxyType(
    {
        "int_type": "must be a whole number",
        "int_from_float": "must be a whole number",
        "int_parsing_size": "must be a smaller number",
        "float_type": "must be a number",
        "finite_number": "must be a finite number",
        "bool_type": "must be true or false",
        "string_type": "must be text (in quotes where it looks like something else)",
        "path_type": "must be a path",
        "model_type": "must be a section of keys and values",
        "dict_type": "must be a section of keys and values",
        "tuple_type": "must be a list",
        "greater_than": "must be above {gt:g}",
        "greater_than_equal": "must be at least {ge:g}",
        "less_than": "must be below {lt:g}",
        "less_than_equal": "must be at most {le:g}",
        "too_short": "must have at least {min_length} {entries}",
        "string_too_short": "must have at least {min_length} {characters}",
        "string_too_long": "must have at most {max_length} {characters}",
        "literal_error": "must be {expected}",
    }
)
"""What a value must be, by pydantic's name for the fault."""

_LENGTHS = frozenset({"too_short", "string_too_short", "string_too_long"})
"""Faults of the length, where the value itself says no more."""


def explain(kind: str, context: Mapping[str, Any], message: str, given: Any) -> str:
    """Why a value is refused, and what to do.

    Args:
        kind: pydantic's name for the fault, such as ``"int_type"``.
        context: The limits that pydantic reports with it.
        message: pydantic's own message; a validator of ours holds the whole reason there.
        given: The value.
    """
    if kind == "value_error":
        return message.removeprefix("Value error, ")
    if kind not in _REASONS:
        return message[0].lower() + message[1:] + instead(given)
    reason = _REASONS[kind].format_map({**context, **_units(context)})
    if kind in _LENGTHS:
        return reason
    reason += instead(given)
    if kind == "literal_error" and isinstance(given, str):
        valid = re.findall(r"'([^']*)'", context["expected"])
        return f"{reason}; {suggest(given, valid)}"
    return reason


def _units(context: Mapping[str, Any]) -> dict[str, str]:
    one = context.get("min_length", context.get("max_length")) == 1
    return {
        "entries": "entry" if one else "entries",
        "characters": "character" if one else "characters",
    }


def brief(text: str, most: int = 80) -> str:
    """A text of the user's in a message: on one line, its middle left out where it is long."""
    line = " ".join(redacted_uri(text).splitlines())
    shown = line if line.isprintable() else line.encode("unicode_escape").decode()
    return shown if len(shown) <= most else f"{shown[: most - 20]}…{shown[-15:]}"


def instead(given: Any) -> str:
    """What stands in the file in place of what must: ``", not 'many'"``."""
    if given is None:
        return "; it is empty here"
    if isinstance(given, bool):
        return f", not {str(given).lower()}"
    if isinstance(given, float):
        return f", not {given:g}"
    if isinstance(given, str):
        return f", not '{brief(given)}'"
    if isinstance(given, int):
        return f", not {brief(str(given))}"
    if isinstance(given, list | tuple):
        return ", not a list"
    if isinstance(given, Mapping):
        return ", not a section of keys"
    return f", not a {type(given).__name__}"
