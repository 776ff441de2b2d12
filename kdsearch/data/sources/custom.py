"""A source of the user's own: ``module:function``, or an installed plug-in."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from kdsearch.data.sources.raw import RawData, as_raw
from kdsearch.errors import DataError, described
from kdsearch.import_path import current_directory_searched
from kdsearch.plugins import installed, is_reference, load, resolve
from kdsearch.spec.sections import DataSection

GROUP = "kdsearch.datasets"
"""Entry-point group of installed sources, each a function such as :func:`load_custom` calls."""


def is_custom(source: str) -> bool:
    """Whether a source is the user's: ``module:function`` or an entry point's name."""
    return is_reference(source) or source in installed(GROUP)


def load_custom(section: DataSection) -> RawData:
    """Call the function that ``section.source`` names with ``section.options``.

    The module is looked for in the current directory first, then among the installed ones; so a
    file ``my_images.py`` in the directory from which the search is started is ``my_images:load``.
    The function runs once, on the machine that starts the study.

    Raises:
        DataError: The module or function is missing or fails, does not take the options, or
            returns something other than :func:`kdsearch.data.sources.raw.as_raw` accepts.
    """
    function = _find(section.source)
    with current_directory_searched():
        try:
            inspect.signature(function).bind(**section.options)
        except TypeError as error:
            raise DataError(
                f"{section.source} cannot be called with data.options ({error}); fix the options"
            ) from None
        try:
            value = function(**section.options)
        except Exception as error:
            raise DataError(f"{section.source} failed with {described(error)}; fix it") from error
    return as_raw(value, section.source)


def _find(source: str) -> Callable[..., Any]:
    if is_reference(source):
        return resolve(source, "function", DataError)
    return load(installed(GROUP)[source], DataError)
