"""From pydantic's report on a document to one sentence that points at the line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from kdsearch.errors import SpecError
from kdsearch.spec.names import suggest
from kdsearch.spec.origin import KeyPath, Origin, dotted
from kdsearch.spec.ranges import Choices, Range, tag
from kdsearch.spec.study import StudySpec
from kdsearch.spec.wording import explain


def translate(error: ValidationError, origin: Origin) -> SpecError:
    """The one fault to fix first: an unknown key, else a wrong value, else a missing key.

    A misspelt key often shows as a missing one too; the misspelling is what tells.
    """
    faults = error.errors(include_url=False)
    fault = min(faults, key=lambda fault: _urgency(fault["type"]))
    path = _real_path(fault["loc"], origin.data)
    name = dotted(path)
    if fault["type"] == "extra_forbidden":
        hint = suggest(str(path[-1]), _valid_keys(fault["loc"]))
        return origin.error(path, f"unknown key '{name}'; {hint}")
    if fault["type"] == "missing":
        missing = dotted((*path, fault["loc"][-1]))
        return origin.error(path, f"'{missing}' is missing; add it")
    reason = explain(fault["type"], fault.get("ctx", {}), fault["msg"], fault["input"])
    changed = origin.settings_below(path)
    told = f" (with --set {changed[-1]})" if changed else ""
    colon = "" if reason.startswith("must") else ":"
    return origin.error(path, f"{name}{colon} {reason}{told}")


def _urgency(kind: str) -> int:
    # pydantic counts a list's sound items alone, so "too short" may only echo another fault
    return {"extra_forbidden": 0, "missing": 2, "too_short": 3}.get(kind, 1)


def _real_path(location: tuple[str | int, ...], data: Any) -> KeyPath:
    """The part of pydantic's location that exists in the file; tags of a dimension are left out."""
    path: list[str | int] = []
    here = data
    for part in location:
        in_list = isinstance(here, list) and isinstance(part, int) and part < len(here)
        if in_list or (isinstance(here, Mapping) and part in here):
            here = here[part]
            path.append(part)
    return tuple(path)


def _valid_keys(location: tuple[str | int, ...]) -> list[str]:
    """The keys of the section in which an unknown key was found."""
    if location[-2:-1] == (tag(Range),):
        return [*Range.model_fields, *Choices.model_fields]
    if location[-2:-1] == (tag(Choices),):
        return list(Choices.model_fields)
    section: Any = StudySpec
    for part in location[:-1]:
        if part in section.model_fields:
            section = _section(section.model_fields[part].annotation)
    return list(section.model_fields)


def _section(annotation: Any) -> Any:
    """The section in a field's annotation, be it alone, optional, or in a list."""
    if hasattr(annotation, "model_fields"):
        return annotation
    inner = (_section(argument) for argument in getattr(annotation, "__args__", ()))
    return next((found for found in inner if found is not None), None)
