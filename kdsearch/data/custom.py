"""A source of the user's own: ``module:function``."""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kdsearch.data.raw import RawData, as_raw
from kdsearch.errors import DataError
from kdsearch.spec.names import suggest
from kdsearch.spec.sections import DataSection


def load_custom(section: DataSection) -> RawData:
    """Call the function that ``section.source`` names with ``section.options``.

    The module is looked for in the current directory first, then among the installed ones, as
    ``python -m`` does; so a file ``my_pictures.py`` in the directory from which the search is
    started is ``my_pictures:load``. The function runs once, on the machine that starts the study.

    Raises:
        DataError: The module or function is missing or fails, does not take the options, or
            returns something other than :func:`kdsearch.data.raw.as_raw` accepts.
    """
    with _current_directory_first():
        function = _resolve(section.source)
        try:
            inspect.signature(function).bind(**section.options)
        except TypeError as error:
            raise DataError(
                f"{section.source} cannot be called with data.options ({error}); mend the options"
            ) from None
        try:
            value = function(**section.options)
        except Exception as error:
            raise DataError(f"{section.source} failed with {_shown(error)}; mend it") from error
    return as_raw(value, section.source)


@contextmanager
def _current_directory_first() -> Iterator[None]:
    directory = str(Path.cwd())
    sys.path.insert(0, directory)
    try:
        yield
    finally:
        sys.path.remove(directory)


def _resolve(source: str) -> Callable[..., Any]:
    name, _, attribute = source.partition(":")
    if not name or not attribute:
        raise DataError(f"the source '{source}' is incomplete; write it as module:function")
    module = _import(name, source)
    function = getattr(module, attribute, None)
    if not callable(function):
        defined = [key for key, value in vars(module).items() if callable(value)]
        near = f"; {suggest(attribute, defined)}" if defined else "; define it there"
        place = getattr(module, "__file__", None) or name
        raise DataError(f"{place} has no function '{attribute}'{near}")
    return function


def _import(name: str, source: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        # A module that is absent itself is told apart from one that imports an absent module.
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            raise DataError(
                f"the source {source} names the module '{name}', which is neither in "
                f"{Path.cwd()} nor installed; mend the name or change to its directory"
            ) from None
        raise DataError(f"importing {name} failed with {_shown(error)}; mend it") from error
    except Exception as error:
        raise DataError(f"importing {name} failed with {_shown(error)}; mend it") from error


def _shown(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".rstrip(".")
