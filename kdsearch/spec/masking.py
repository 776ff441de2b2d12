"""A spec without the passwords, tokens and keys that stand in its URIs, as it is kept and shown."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import yaml

from kdsearch.redaction import redacted, redacted_uri
from kdsearch.spec.yaml_form import SpecLoader

_PROPERTIES = re.compile(r"(?:[&!]\S*\s+)*")
"""Anchor and tag before a value."""


def masked_values(value: Any) -> Any:
    """Plain values, with the secrets of every text masked."""
    if isinstance(value, str):
        return redacted_uri(value)
    if isinstance(value, dict):
        return {masked_values(key): masked_values(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [masked_values(inner) for inner in value]
    return value


def masked_text(text: str) -> str:
    """The text of a YAML document with its secrets masked, in comments too; the rest as it was."""
    shown, done = "", 0
    for node in _scalars(text):
        start, end = node.start_mark.index, node.end_mark.index
        shown += redacted(text[done:start]) + _masked_scalar(text[start:end], node.value)
        done = end
    return shown + redacted(text[done:])


def masked_setting(text: str) -> str:
    """The text of a ``--set`` with its secrets masked."""
    name, equals, value = text.partition("=")
    return f"{redacted(name)}{equals}{redacted_uri(masked_text(value))}"


def _masked_scalar(written: str, value: str) -> str:
    """A value as it is written, its secrets masked."""
    shown = redacted_uri(value)
    if shown == value:
        return written
    if value in written:
        return written.replace(value, shown)
    before = _PROPERTIES.match(written)
    after = written[len(written.rstrip()) :]  # the line breaks at the end of a block
    return f"{before[0] if before else ''}{json.dumps(shown, ensure_ascii=False)}{after}"


def _scalars(text: str) -> list[yaml.ScalarNode]:
    """The single values and keys of a document as they stand in it; none if it is not YAML."""
    try:
        node = yaml.compose(text, Loader=SpecLoader)
    except (yaml.YAMLError, RecursionError):
        return []
    found = {scalar.start_mark.index: scalar for scalar in _below(node)}
    return [found[start] for start in sorted(found)]


def _below(root: yaml.Node | None) -> Iterator[yaml.ScalarNode]:
    """Every scalar once, however often aliases repeat it."""
    seen: set[int] = set()
    open_nodes = [root] if root is not None else []
    while open_nodes:
        node = open_nodes.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, yaml.ScalarNode):
            yield node
        elif isinstance(node, yaml.MappingNode):
            open_nodes += [part for pair in node.value for part in pair]
        elif isinstance(node, yaml.SequenceNode):
            open_nodes += node.value
