"""README and the pages of ``docs/`` use the words of the field, in sentences that are short."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
LONGEST = 35
"""Words of a sentence."""

OTHER_WORDS = {
    r"mend(s|ed|ing)?": "fix",
    r"put(s|ting)? aside|set(s|ting)? aside": "paused, or kept for",
    r"pictures?": "image, figure",
    r"foreign|torn": "other, corrupt",
    r"pays|paid off": "helps",
    r"views?": "augmented image",
    r"(?<!learning )rates?": "learning rate",
    r"(the|its|teacher|student|network|kept|cached)('s)? answers|answers? of|is answered": "logits",
    r"rooms|(a|each|the) room": "package",
    r"straw m[ae]n": "unfair comparison",
}
"""Words that are not the field's, as regular expressions, with what is said in their place."""

BLOCKS = re.compile(r"```.*?```|<!--.*?-->|<[^<>]+>", re.DOTALL)
STARTS = re.compile(r"^\s*([-*+]|\d+\.|#+|>|\|)", re.MULTILINE)


def prose(text: str, tables: bool) -> list[str]:
    """The paragraphs, list items and headings of a page, without its code and link targets.

    Args:
        text: The page.
        tables: Whether the rows of tables are there too.
    """
    text = BLOCKS.sub("", text)
    text = re.sub(r"(`+)[^`]+?\1", "`code`", text)
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", text)
    found: list[str] = []
    fresh = True
    for line in text.splitlines():
        if line.lstrip().startswith("|") and not tables:
            line = ""
        if not line.strip():
            fresh = True
        elif fresh or STARTS.match(line):
            found.append(line.strip())
            fresh = line.lstrip().startswith(("#", "|"))
        else:
            found[-1] += f" {line.strip()}"
    return found


def sentences(text: str) -> list[str]:
    """The sentences of a page, of its tables' cells at last.

    One ends at a full stop before a capital letter or code, and at the dot between two links.
    """
    rows = [part for part in prose(text, tables=True) if part.startswith("|")]
    cells = [cell.strip() for row in rows for cell in re.split(r"(?<!\\)\|", row)]
    parts = [*prose(text, tables=False), *filter(None, cells)]
    marked = (re.sub(r"([.!?][\"')*]*| ·)\s+(?=[\"A-Z`*(])", r"\1\n", part) for part in parts)
    return [each for part in marked for each in part.split("\n")]


@pytest.mark.parametrize(
    "page", [*PAGES, ROOT / "CHANGELOG.md"], ids=lambda page: str(page.relative_to(ROOT))
)
def test_a_page_uses_the_words_of_the_field(page: Path) -> None:
    found = {}
    for part in prose(page.read_text(), tables=True):
        for words, instead in OTHER_WORDS.items():
            if match := re.search(rf"\b({words})\b", part, re.IGNORECASE):
                found[part[max(0, match.start() - 30) : match.end() + 30]] = instead
    assert found == {}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_sentence_of_a_page_is_long(page: Path) -> None:
    long = [each for each in sentences(page.read_text()) if len(each.split()) > LONGEST]
    assert long == []


def messages(file: Path) -> list[str]:
    """The texts of several words that a module's code holds, docstrings of commands among them."""
    tree = ast.parse(file.read_text())
    documented = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    texts = [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        if id(node) not in documented or file.parent.name == "cli"
    ]
    return [text for text in texts if len(text.split()) > 2]


def test_what_is_printed_uses_the_words_of_the_field() -> None:
    words = re.compile(rf"\b({'|'.join(OTHER_WORDS)})\b", re.IGNORECASE)
    files = sorted((ROOT / "kdsearch").rglob("*.py"))
    texts = [(file.name, text) for file in files for text in messages(file)]
    assert len(texts) > 500
    assert [(name, text) for name, text in texts if words.search(text)] == []


def test_sentences_are_told_apart() -> None:
    text = (
        "# A title\n\nOne `a. B` two. Three [four five](six.md), e.g. 0.5\n  and seven.\n"
        '- An item\n- Another. Its "end!" So.\n\n```yaml\nno: sentence. Here\n```\n| a. B | c |\n'
    )
    assert sentences(text) == [
        "# A title",
        "One `code` two.",
        "Three four five, e.g. 0.5 and seven.",
        "- An item",
        "- Another.",
        'Its "end!"',
        "So.",
        "a.",
        "B",
        "c",
    ]
    assert prose(text, tables=True)[-1] == "| a. B | c |"


def test_the_list_of_other_words_finds_them() -> None:
    words = "|".join(OTHER_WORDS)
    for text in ("a view", "falling rates", "the teacher answers", "what they pay or pays"):
        assert re.search(rf"\b({words})\b", text), text
    for text in ("the learning rate", "a question that it answers", "overview", "mendelian"):
        assert not re.search(rf"\b({words})\b", text), text
