"""The user's own parts: ``module:name`` references and installed entry points."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import MappingProxyType
from typing import Any

from kdsearch.errors import KdsearchError, described
from kdsearch.import_path import current_directory_searched
from kdsearch.spec.names import suggest


def is_reference(name: str) -> bool:
    """Whether a name in the spec is a reference ``module:name``."""
    return ":" in name


def resolve(reference: str, what: str, error: type[KdsearchError]) -> Any:
    """The object that ``module:name`` names.

    The module is looked for in the current directory first, then among the installed ones; but a
    file there does not take the place of a module of the standard library.

    Args:
        reference: As in the spec.
        what: What it should be, in the words of the message: "function", "class".
        error: The kind of error to raise.

    Raises:
        KdsearchError: Of the given kind: half a reference, a module that is missing or breaks, or
            a name that the module lacks.
    """
    module_name, _, name = reference.partition(":")
    if not module_name or not name:
        raise error(f"'{reference}' is incomplete; write it as module:{what}")
    outermost = module_name.partition(".")[0]
    if outermost in sys.stdlib_module_names:
        raise error(
            f"{reference} names a module of Python's standard library; give your file another name "
            f"than {outermost}.py"
        )
    with current_directory_searched():
        module = _import(module_name, reference, error)
    found = getattr(module, name, None)
    if callable(found):
        return found
    defined = [key for key, value in vars(module).items() if callable(value) and key[0] != "_"]
    near = suggest(name, defined) if defined else "define it there"
    place = getattr(module, "__file__", None) or module_name
    raise error(f"{place} has no {what} '{name}'; {near}")


def installed(group: str) -> Mapping[str, EntryPoint]:
    """The entry points of a group, by name.

    Looking through all installed packages takes tens of milliseconds, so it is done once for each
    state of ``sys.path``: a package that is installed while the process runs may not be seen.
    """
    return _installed(entry_points, group, tuple(sys.path))


@lru_cache(maxsize=32)
def _installed(
    find: Callable[..., Iterable[EntryPoint]], group: str, path: tuple[str, ...]
) -> Mapping[str, EntryPoint]:
    return MappingProxyType({point.name: point for point in find(group=group)})


def load(point: EntryPoint, error: type[KdsearchError]) -> Any:
    """The object behind an entry point.

    Raises:
        KdsearchError: Of the given kind, if it cannot be imported.
    """
    try:
        return point.load()
    except Exception as fault:
        raise error(
            f"the installed plug-in '{point.name}' ({point.value}) cannot be loaded "
            f"({described(fault)}); fix or uninstall it"
        ) from fault


def _import(name: str, reference: str, error: type[KdsearchError]) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as fault:
        # a module that is absent itself is told apart from one that imports an absent module
        if fault.name is not None and (name == fault.name or name.startswith(f"{fault.name}.")):
            raise error(
                f"{reference} names the module '{name}', which is neither in {Path.cwd()} nor "
                "installed; fix the name, or change to its directory"
            ) from None
        raise error(f"importing {name} failed with {described(fault)}; fix it") from fault
    except Exception as fault:
        raise error(f"importing {name} failed with {described(fault)}; fix it") from fault
