"""Where each value of a search-space file stands, so that errors can point at it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import yaml

from kdsearch.errors import SpecError

Path = tuple[str | int, ...]
"""Keys and list indices that lead to a value."""


@dataclass
class Origin:
    """A YAML document with the place of each of its values.

    Attributes:
        file: The name of the file.
        text: Its content.
        data: The document as plain Python values, overrides applied.
        places: 1-based (line, column) of every key and list item.
        overridden: Paths set from the command line, with the text that set them.
    """

    file: str
    text: str
    data: Any = None
    places: dict[Path, tuple[int, int]] = field(default_factory=dict)
    overridden: dict[Path, str] = field(default_factory=dict)

    def error(self, path: Path, message: str) -> SpecError:
        """An error at the deepest known place along ``path``."""
        for length in range(len(path), 0, -1):
            head = path[:length]
            if head in self.overridden:
                return SpecError(f"--set {self.overridden[head]}: {message}")
            if head in self.places:
                return SpecError(message, self.file, *self.places[head])
        return SpecError(message, self.file, 1, 1)


def read_yaml(text: str, file: str) -> Origin:
    """Parse YAML and note where each value stands.

    Raises:
        SpecError: The text is not YAML, holds a key twice, or is not a mapping.
    """
    origin = Origin(file, text)
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        if not isinstance(node, yaml.MappingNode):
            raise SpecError(
                "the file must hold a mapping that starts with 'study:'; it is empty or a list",
                file,
                1,
                1,
            )
        _note(node, (), origin)
        origin.data = yaml.load(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = (mark.line + 1, mark.column + 1) if mark else (None, None)
        reason = error.problem or error.context
        raise SpecError(f"not valid YAML ({reason}); mend this line", file, *place) from None
    except yaml.YAMLError as error:
        raise SpecError(f"not valid YAML ({error}); is it a text file?", file) from None
    return origin


def _note(node: yaml.Node, path: Path, origin: Origin) -> None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            inner = (*path, key.value)
            if inner in origin.places:
                line, column = _place(key)
                raise SpecError(
                    f"the key '{key.value}' stands here a second time (first on line "
                    f"{origin.places[inner][0]}); remove one",
                    origin.file,
                    line,
                    column,
                )
            origin.places[inner] = _place(key)
            _note(value, inner, origin)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            origin.places[(*path, index)] = _place(value)
            _note(value, (*path, index), origin)


def _place(node: yaml.Node) -> tuple[int, int]:
    return node.start_mark.line + 1, node.start_mark.column + 1
