"""Where each value of a search-space file stands, so that errors can point at it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import yaml

from kdsearch.errors import SpecError
from kdsearch.spec.wording import brief
from kdsearch.spec.yaml_form import SpecLoader

KeyPath = tuple[str | int, ...]
"""Keys and list indices that lead to a value."""

LONGEST = 200_000
"""Characters that a file may have."""

MOST = 10_000
"""Values that it may hold, each counted wherever an alias repeats it."""

DEEPEST = 50
"""How deep they may be nested."""

_TEXT = "tag:yaml.org,2002:str"
_MERGE = "tag:yaml.org,2002:merge"


def dotted(path: KeyPath) -> str:
    """A path as ``--set`` takes it: ``students.0.width``; keys that are long are cut."""
    return ".".join(brief(str(part)) for part in path)


@dataclass
class Origin:
    """A YAML document with the place of each of its values.

    Attributes:
        file: The name of the file.
        text: Its content.
        data: The document as plain Python values, overrides applied.
        places: 1-based (line, column) of every key and list item. An item that is a plain word
            is found by that word too: ``("methods", "kd")`` in ``methods: [none, kd]``.
        overridden: Paths set from the command line, with the text that set them.
    """

    file: str
    text: str
    data: Any = None
    places: dict[KeyPath, tuple[int, int]] = field(default_factory=dict)
    overridden: dict[KeyPath, str] = field(default_factory=dict)

    def override(self, path: KeyPath, text: str) -> None:
        """Note that ``--set text`` decides all from ``path`` downwards."""
        known: tuple[dict[KeyPath, Any], ...] = (self.places, self.overridden)
        for places in known:
            for below in [other for other in places if other[: len(path)] == path]:
                del places[below]
        self.overridden[path] = text

    def error(self, path: KeyPath, message: str) -> SpecError:
        """An error at the deepest known place along ``path``."""
        head = self._known(path)
        if head in self.overridden:
            return SpecError(f"--set {self.overridden[head]}: {message}")
        return SpecError(message, self.file, *self.places.get(head, (1, 1)))

    def place(self, path: KeyPath) -> str:
        """The deepest known place along ``path``: ``file:line:column`` or ``--set text``."""
        head = self._known(path)
        if head in self.overridden:
            return f"--set {self.overridden[head]}"
        line, column = self.places.get(head, (1, 1))
        return f"{self.file}:{line}:{column}"

    def settings_below(self, path: KeyPath) -> list[str]:
        """The ``--set`` texts that changed something inside the value at ``path``."""
        return [
            text
            for other, text in self.overridden.items()
            if len(other) > len(path) and other[: len(path)] == path
        ]

    def _known(self, path: KeyPath) -> KeyPath:
        for length in range(len(path), 0, -1):
            if path[:length] in self.overridden or path[:length] in self.places:
                return path[:length]
        return ()


def read_yaml(text: str, file: str) -> Origin:
    """Parse YAML and note where each value stands.

    Raises:
        SpecError: The text is not YAML, holds a key twice or one that is not a plain word, or is
            not a mapping.
    """
    origin = Origin(file, text)
    origin.data = parse_yaml(origin)
    if not isinstance(origin.data, dict):
        found = "is empty" if origin.data is None else "holds no keys"
        raise SpecError(
            f"the file {found}; write the sections study, data, teacher, students and methods, as "
            "in search_spaces/digits.yaml",
            file,
            1,
            1,
        )
    return origin


def parse_yaml(origin: Origin) -> Any:
    """The values of ``origin.text``; their places are noted in ``origin``.

    Raises:
        SpecError: As :func:`read_yaml`, but any value is taken.
    """
    file = origin.file
    if len(origin.text) > LONGEST:
        raise SpecError(f"the text has more than {LONGEST:,} characters; shorten it", file)
    try:
        loader = SpecLoader(origin.text)
        node = loader.get_single_node()
        if node is None:
            return None
        _note(node, (), origin, count())
        return loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = (mark.line + 1, mark.column + 1) if mark else (None, None)
        reason = ", ".join(brief(part, 120) for part in (error.context, error.problem) if part)
        raise SpecError(f"not valid YAML ({reason}); fix it", file, *place) from None
    except yaml.reader.ReaderError as error:
        before = origin.text[: error.position]
        line, column = before.count("\n") + 1, error.position - before.rfind("\n")
        raise SpecError(
            f"the character U+{int(error.character):04X} cannot stand in YAML; remove it",
            file,
            line,
            column,
        ) from None
    except RecursionError:
        raise SpecError(
            "the values are nested too deeply, or an anchor (&) holds itself; write them out", file
        ) from None


def _note(node: yaml.Node, path: KeyPath, origin: Origin, steps: count[int]) -> None:
    if next(steps) > MOST:
        raise SpecError(
            f"the file holds more than {MOST:,} values, with what its aliases (*) repeat; write "
            "fewer",
            origin.file,
        )
    if len(path) > DEEPEST:
        raise RecursionError
    if isinstance(node, yaml.MappingNode):
        _note_mapping(node, path, origin, steps)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            inner = (*path, index)
            origin.places[inner] = _place(value)
            if isinstance(value, yaml.ScalarNode):
                origin.places.setdefault((*path, value.value), _place(value))
            _note(value, inner, origin, steps)


def _note_mapping(node: yaml.MappingNode, path: KeyPath, origin: Origin, steps: count[int]) -> None:
    merged = [value for key, value in node.value if key.tag == _MERGE]
    for value in merged:
        for part in value.value if isinstance(value, yaml.SequenceNode) else (value,):
            _note(part, path, origin, steps)
    own = [(key, value) for key, value in node.value if key.tag != _MERGE]
    _check_keys([key for key, _ in own], origin.file)
    for key, value in own:
        inner = (*path, key.value)
        origin.places[inner] = _place(key)
        _note(value, inner, origin, steps)


def _check_keys(keys: Iterable[yaml.Node], file: str) -> None:
    first: dict[str, int] = {}
    for key in keys:
        line, column = _place(key)
        if key.tag != _TEXT:
            shown = (
                f"'{brief(key.value)}'; put it in quotes if it is one"
                if isinstance(key, yaml.ScalarNode)
                else "a list or a section; fix it"
            )
            raise SpecError(f"a key must be a name, not {shown}", file, line, column)
        if key.value in first:
            raise SpecError(
                f"the key '{brief(key.value)}' stands here a second time (first on line "
                f"{first[key.value]}); remove one",
                file,
                line,
                column,
            )
        first[key.value] = line


def _place(node: yaml.Node) -> tuple[int, int]:
    return node.start_mark.line + 1, node.start_mark.column + 1
