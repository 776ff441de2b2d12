"""The trunk knows samples, inputs, metrics and signals, and no one kind of input or metric."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "kdsearch"
ROOMS = ("search", "execution", "results", "teacher_cache", "tracking", "export", "report")
SPECIAL = re.compile(r"image|picture|pixel|channel|accuracy", re.IGNORECASE)


def files() -> list[Path]:
    return [file for room in ROOMS for file in sorted((PACKAGE / room).rglob("*.py"))]


def words(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Every name that code gives or uses, and every text in it but documentation."""
    documented = {
        id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)
    }  # docstrings
    for node in ast.walk(tree):
        line = getattr(node, "lineno", 0)
        match node:
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.arg(arg=name):
                yield line, name
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                yield line, name
            case ast.keyword(arg=str(name)) | ast.alias(name=name):
                yield line, name
            case ast.Constant(value=str(text)) if id(node) not in documented:
                yield line, text


@pytest.mark.parametrize("file", files(), ids=lambda file: str(file.relative_to(PACKAGE)))
def test_a_room_of_the_trunk_names_no_kind_of_input_or_metric(file: Path) -> None:
    tree = ast.parse(file.read_text())
    found = [(line, word) for line, word in words(tree) if SPECIAL.search(word)]
    assert SPECIAL.search(file.stem) is None
    assert found == []


def test_the_words_of_a_file_are_all_seen() -> None:
    tree = ast.parse(
        '"""images"""\n'
        "from a import image_of\n"
        "class Pixels:\n"
        "    channels: int = 3\n"
        "def score(image, *images, accuracy=1):\n"
        '    """accuracy"""\n'
        "    return row.picture['accuracy'], f(channel=f'{x} pixels')\n"
    )
    found = [word for _, word in words(tree) if SPECIAL.search(word)]
    given = ["image_of", "Pixels", "channels", "image", "images", "accuracy"]
    assert sorted(found) == sorted([*given, "picture", "accuracy", "channel", " pixels"])
