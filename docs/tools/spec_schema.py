"""The schema of the search-space file, and its types in words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, get_args

import annotated_types
from pydantic import BeforeValidator

from kdsearch.spec.base import Section
from kdsearch.spec.study import StudySpec
from kdsearch.spec.values import listed

Schema = dict[str, Any]

BOUNDS = {
    annotated_types.Ge: ("ge", "minimum", "at least"),
    annotated_types.Gt: ("gt", "exclusiveMinimum", "above"),
    annotated_types.Le: ("le", "maximum", "at most"),
    annotated_types.Lt: ("lt", "exclusiveMaximum", "below"),
}
"""Bounds of numbers: how pydantic keeps them, how a JSON schema names them, and in words."""


def spec_schema() -> Schema:
    """The JSON schema of a study, with the bounds and forms that pydantic leaves out."""
    schema = StudySpec.model_json_schema()
    for model in _models(Section):
        if model.__name__ in schema["$defs"]:
            _complete(schema["$defs"][model.__name__]["properties"], model)
    return schema


def _models(base: type[Section]) -> Iterator[type[Section]]:
    for model in base.__subclasses__():
        yield model
        yield from _models(model)


def _complete(properties: Schema, model: type[Section]) -> None:
    """Add what a JSON schema leaves out: bounds of optional numbers, and lists of one."""
    for key, field in model.model_fields.items():
        for mark in (*field.metadata, *_marks(field.annotation)):
            if type(mark) in BOUNDS and "anyOf" in properties[key]:
                attribute, name, _ = BOUNDS[type(mark)]
                properties[key]["anyOf"][0].setdefault(name, getattr(mark, attribute))
            if isinstance(mark, BeforeValidator) and mark.func is listed:
                properties[key]["one"] = True


def _marks(annotation: Any) -> Iterator[Any]:
    """What stands beside the types of an annotation, at any depth."""
    yield from getattr(annotation, "__metadata__", ())
    for inner in get_args(annotation):
        yield from _marks(inner)


def section_of(field: Schema) -> str | None:
    """The kind of section that a key holds, alone, in a list or by names; ``None``: a value."""
    if "$ref" in field:
        kind = str(field["$ref"]).rpartition("/")[2]
        return None if kind in ("Range", "Choices") else kind
    inner = [field.get("items"), field.get("additionalProperties"), *field.get("anyOf", ())]
    found = [section_of(each) for each in inner if isinstance(each, dict)]
    return next((kind for kind in found if kind), None)


def type_of(field: Schema) -> str:
    """What a key takes, in words."""
    words = _type_of(field)
    return words.replace("list of", "one or a list of", 1) if "one" in field else words


def _type_of(field: Schema) -> str:
    if "const" in field:
        return f"`{field['const']}`"
    if "enum" in field:
        return _either(f"`{value}`" for value in field["enum"])
    if "$ref" in field:
        return "section"
    if "oneOf" in field:
        dimension = any("$ref" in each for each in field["oneOf"])
        kinds = ["number, range or choices"] if dimension else map(type_of, field["oneOf"])
        return " or ".join(kinds) + _limits(field)
    if "anyOf" in field:
        known = [each for each in field["anyOf"] if each.get("type") != "null"]
        return " or ".join(dict.fromkeys(map(type_of, known))) + _limits(field)
    return _plain_type(field)


def _plain_type(field: Schema) -> str:
    match field["type"]:
        case "array":
            return f"list of {type_of(field['items'])}"
        case "object" if isinstance(field.get("additionalProperties"), dict):
            return f"{type_of(field['additionalProperties'])}, by name"
        case "object":
            return "values by name"
        case "string":
            return "path" if field.get("format") == "path" else "text"
        case "boolean":
            return "`true` or `false`"
        case "integer":
            return "whole number" + _limits(field)
        case "number":
            return "number" + _limits(field)
        case other:
            raise ValueError(f"no words for the type {other}")


def _limits(field: Schema) -> str:
    """The bounds of a number, behind its type."""
    known = [(key, words) for _, key, words in BOUNDS.values() if key in field]
    bounds = [f"{words} {_number(field[key])}" for key, words in known]
    bounds += [field["values"]] if "values" in field else []
    return "".join(f", {bound}" for bound in bounds)


def _number(value: float) -> str:
    return "2⁶³" if value == 2**63 else f"{value:.4g}"


def _either(names: Iterable[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} or {last}" if others else last
