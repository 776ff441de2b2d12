"""Load a search-space file: YAML, overrides, types, and errors that point at the line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from kdsearch.errors import SpecError
from kdsearch.spec.names import suggest
from kdsearch.spec.origin import Origin, read_yaml
from kdsearch.spec.origin import Path as KeyPath
from kdsearch.spec.overrides import apply_override
from kdsearch.spec.study import StudySpec


def load_spec(path: str | Path, overrides: Sequence[str] = ()) -> StudySpec:
    """Read a search-space file.

    Args:
        path: The YAML file.
        overrides: Texts such as ``"search.trials=10"``, applied in order.

    Raises:
        SpecError: The file is missing, is not YAML, or holds a wrong key, type or range; the
            message gives file, line, column and the nearest valid name.
    """
    file = Path(path)
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise SpecError(f"no such file: {path}; check the path") from None
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(f"cannot read {path} ({error}); give a YAML text file") from None
    return parse_spec(text, overrides, file=str(path))


def parse_spec(text: str, overrides: Sequence[str] = (), file: str = "<text>") -> StudySpec:
    """Like :func:`load_spec`, from the text itself."""
    origin = read_yaml(text, file)
    for override in overrides:
        apply_override(origin, override)
    try:
        spec = StudySpec.model_validate(origin.data)
    except ValidationError as error:
        raise _translate(error, origin) from None
    spec._origin = origin
    return spec


def dump_spec(spec: StudySpec) -> str:
    """The resolved spec as YAML, every default written out."""
    return yaml.safe_dump(spec.model_dump(mode="json"), sort_keys=False, width=100)


def _translate(error: ValidationError, origin: Origin) -> SpecError:
    first = error.errors(include_url=False)[0]
    path = _real_path(first["loc"], origin.data)
    name = ".".join(str(part) for part in path)
    kind = first["type"]
    if kind == "extra_forbidden":
        valid = _valid_keys(first["loc"])
        return origin.error(path, f"unknown key '{name}'; {suggest(str(path[-1]), valid)}")
    if kind == "missing":
        missing = ".".join(str(part) for part in (*path, first["loc"][-1]))
        return origin.error(path, f"'{missing}' is missing; add it")
    message = first["msg"].removeprefix("Value error, ")
    message = message[0].lower() + message[1:]
    given = first["input"]
    shown = "" if isinstance(given, Mapping | list | BaseModel) else f" (it is {given!r})"
    return origin.error(path, f"{name}: {message}{shown}")


def _real_path(location: tuple[str | int, ...], data: Any) -> KeyPath:
    """The part of pydantic's location that exists in the file; union tags are left out."""
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
    section: Any = StudySpec
    for part in location[:-1]:
        section = _inner(section, part)
    fields = getattr(section, "model_fields", None)
    return list(fields) if fields else []


def _inner(section: Any, part: str | int) -> Any:
    """The section that ``part`` of a location leads to, through lists, unions and tags."""
    fields = getattr(section, "model_fields", None)
    if fields is not None:
        return fields[part].annotation if part in fields else section
    for candidate in _members(section):
        if getattr(candidate, "__name__", "").lower() == part:
            return candidate
    for candidate in _members(section):
        if hasattr(candidate, "model_fields"):
            return _inner(candidate, part)
    return section


def _members(annotation: Any) -> list[Any]:
    arguments = getattr(annotation, "__args__", ())
    found: list[Any] = []
    for argument in arguments:
        found.append(argument)
        found.extend(_members(argument))
    return found
