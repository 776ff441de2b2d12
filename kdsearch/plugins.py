"""The user's own parts: ``module:name`` references and installed entry points."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from kdsearch.errors import KdsearchError, described
from kdsearch.import_path import current_directory_searched
from kdsearch.spec.names import suggest

Part = TypeVar("Part")


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


def find_class(
    name: str,
    known: Mapping[str, type[Part]],
    group: str,
    names: Callable[[], Iterable[str]],
    what: str,
    error: type[KdsearchError],
) -> Any:
    """What a name of the spec stands for: kdsearch's own class, or a plug-in that is still to be
    checked (:func:`check_class`).

    Args:
        name: Of ``known``, of an installed plug-in, or ``module:Class``.
        known: kdsearch's own classes.
        group: Entry-point group of the installed ones.
        names: Tells all that the message may suggest; to ask searches the installed packages.
        what: What it should be, in the words of the message: "method".
        error: The kind of error to raise.

    Raises:
        KdsearchError: Of the given kind: there is none of that name, or it cannot be imported.
    """
    if name in known:
        return known[name]
    if is_reference(name):
        return resolve(name, "class", error)
    point = installed(group).get(name)
    if point is None:
        raise error(f"unknown {what} '{name}'; {suggest(name, names())}")
    return load(point, error)


def check_class(
    found: Any, reference: str, base: type, facts: Iterable[str], error: type[KdsearchError]
) -> None:
    """Refuse what is no subclass of ``base``, or does not state one of its facts.

    Raises:
        KdsearchError: Of the given kind.
    """
    if not (isinstance(found, type) and issubclass(found, base)):
        public = ".".join((*base.__module__.split(".")[:2], base.__name__))
        raise error(f"{reference} is no {public}; derive the class from it")
    for fact in facts:
        if not hasattr(found, fact):
            raise error(f"{reference} does not state its '{fact}'; add the class attribute")


def check_own_name(name: str, reference: str, error: type[KdsearchError]) -> None:
    """Refuse a name that a class gives itself and that cannot stand in a sum of names.

    Raises:
        KdsearchError: Of the given kind.
    """
    if not re.fullmatch(r"[A-Za-z_]\w*", name):
        raise error(f"{reference} has the name '{name}'; use letters, digits and '_'")


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
