"""The YAML of search-space files: as PyYAML reads it, less some of its surprises.

``1e-3`` is a number (PyYAML wants ``1.0e-3``), ``2024-01-01`` and ``=`` are text, and values are
text, numbers, truths, nothing, lists and sections alone.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

from kdsearch.spec.wording import brief

LARGEST = 10**300
"""No whole number may be larger: such have no place in Python's floats."""

_EXPONENT = re.compile(r"^[-+]?[0-9][0-9_]*(?:\.[0-9_]*)?[eE][-+]?[0-9]+$")
_TAG = "tag:yaml.org,2002:"
_FLOAT = f"{_TAG}float"
_TEXT = f"{_TAG}str"
_AS_TEXT = (f"{_TAG}timestamp", f"{_TAG}value")
_PLAIN = {f"{_TAG}{name}" for name in ("str", "int", "float", "bool", "null", "seq", "map")}
_UNPRINTABLE = re.compile("[\0\ud800-\udfff]")


class SpecLoader(yaml.SafeLoader):
    """Reads a search-space file; builds plain values alone."""

    yaml_implicit_resolvers = {
        first: [(tag, rule) for tag, rule in rules if tag not in _AS_TEXT]
        for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def get_single_node(self) -> yaml.Node | None:
        """The document's root; an escape beyond Unicode is told with its place."""
        try:
            return super().get_single_node()
        except ValueError:
            problem = "found an escape that is no character"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=self.get_mark()) from None

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """The value of a node; one that does not fit its tag is told with its place."""
        if node.tag not in _PLAIN:
            raise _refused(node, f"the tag '{brief(node.tag)}' has no place here")
        try:
            value = super().construct_object(node, deep)
        except (ValueError, LookupError, AttributeError, TypeError):
            raise _refused(node, f"'{brief(str(node.value))}' does not fit its tag") from None
        if isinstance(value, int) and abs(value) > LARGEST:
            raise _refused(node, f"the number {brief(node.value)} is too large")
        if isinstance(value, str) and (found := _UNPRINTABLE.search(value)):
            raise _refused(node, f"the character U+{ord(found[0]):04X} cannot stand in a text")
        return value


def _refused(node: yaml.Node, problem: str) -> yaml.constructor.ConstructorError:
    return yaml.constructor.ConstructorError(problem=problem, problem_mark=node.start_mark)


class SpecDumper(yaml.SafeDumper):
    """Writes what :class:`SpecLoader` reads back as the same values."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    # double quotes alone keep every kind of line break apart
    return dumper.represent_scalar(_TEXT, text, style=None if text.isprintable() else '"')


SpecDumper.add_representer(str, _text)

for _form in (SpecLoader, SpecDumper):
    _form.add_implicit_resolver(_FLOAT, _EXPONENT, list("-+0123456789"))
