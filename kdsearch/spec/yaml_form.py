"""The YAML of search-space files: as PyYAML reads it, less two of its surprises.

``1e-3`` is a number (PyYAML wants ``1.0e-3``), and ``2024-01-01`` is text, not a date.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

_EXPONENT = re.compile(r"^[-+]?[0-9][0-9_]*(?:\.[0-9_]*)?[eE][-+]?[0-9]+$")
_FLOAT = "tag:yaml.org,2002:float"
_TEXT = "tag:yaml.org,2002:str"
_DATE = "tag:yaml.org,2002:timestamp"


class SpecLoader(yaml.SafeLoader):
    """Reads a search-space file; builds plain values alone."""

    yaml_implicit_resolvers = {
        first: [(tag, rule) for tag, rule in rules if tag != _DATE]
        for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """The value of a node; one that does not fit its tag is told with its place."""
        try:
            return super().construct_object(node, deep)
        except (ValueError, LookupError, AttributeError, TypeError):
            raise yaml.constructor.ConstructorError(
                problem=f"'{node.value}' does not fit its tag", problem_mark=node.start_mark
            ) from None


class SpecDumper(yaml.SafeDumper):
    """Writes what :class:`SpecLoader` reads back as the same values."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    # double quotes alone keep every kind of line break apart
    return dumper.represent_scalar(_TEXT, text, style=None if text.isprintable() else '"')


SpecDumper.add_representer(str, _text)

for _form in (SpecLoader, SpecDumper):
    _form.add_implicit_resolver(_FLOAT, _EXPONENT, list("-+0123456789"))
