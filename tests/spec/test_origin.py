"""Where values stand: against a writer that knows where it put them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kdsearch.errors import SpecError
from kdsearch.spec.origin import KeyPath, Origin, dotted, read_yaml

Places = dict[KeyPath, tuple[int, int]]

_keys = st.from_regex(r"k[a-z+._/-]{0,6}[a-z]", fullmatch=True)
_leaves = st.integers(-9, 9) | st.booleans()
_trees = st.recursive(
    _leaves,
    lambda inner: (
        st.dictionaries(_keys, inner, min_size=1, max_size=3)
        | st.lists(inner, min_size=1, max_size=3)
    ),
    max_leaves=12,
)


class Writer:
    """Writes a tree as YAML, now in block style and now in flow style, and notes each place."""

    def __init__(self, choose: Any) -> None:
        self.choose = choose
        self.text = ""
        self.places: Places = {}

    def here(self) -> tuple[int, int]:
        return self.text.count("\n") + 1, len(self.text) - self.text.rfind("\n")

    def write(self, tree: Any, path: KeyPath, indent: int) -> None:
        if not isinstance(tree, dict | list):
            self.text += " " + str(tree).lower()
        elif path and self.choose():
            self.text += " "
            self.flow(tree, path)
        else:
            self.block(tree, path, indent)

    def block(self, tree: Any, path: KeyPath, indent: int) -> None:
        for key, value in items(tree):
            self.text += ("\n" if self.text else "") + " " * indent
            if isinstance(tree, list):
                self.text += "-"
                # an item's place is where its value begins, which may be lines further down
                before = len(self.text)
                self.write(value, (*path, key), indent + 2)
                begins = before + len(self.text[before:]) - len(self.text[before:].lstrip())
                self.places[(*path, key)] = position(self.text, begins)
            else:
                self.places[(*path, key)] = self.here()
                self.text += f"{key}:"
                self.write(value, (*path, key), indent + 2)

    def flow(self, tree: Any, path: KeyPath) -> None:
        self.text += "{" if isinstance(tree, dict) else "["
        for number, (key, value) in enumerate(items(tree)):
            self.text += ", " if number else ""
            self.places[(*path, key)] = self.here()
            if isinstance(tree, dict):
                self.text += f"{key}: "
            if isinstance(value, dict | list):
                self.flow(value, (*path, key))
            else:
                self.text += str(value).lower()
        self.text += "}" if isinstance(tree, dict) else "]"


def items(tree: Any) -> list[tuple[Any, Any]]:
    return list(tree.items()) if isinstance(tree, dict) else list(enumerate(tree))


def position(text: str, offset: int) -> tuple[int, int]:
    return text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset)


@settings(max_examples=80)
@given(st.dictionaries(_keys, _trees, min_size=1, max_size=4), st.data())
def test_every_place_is_where_the_writer_put_it(tree: dict[str, Any], data: st.DataObject) -> None:
    writer = Writer(lambda: data.draw(st.booleans()))
    writer.write(tree, (), 0)
    origin = read_yaml(writer.text, "x.yaml")
    assert origin.data == tree
    for path, place in writer.places.items():
        assert origin.places[path] == place
        assert origin.place(path) == f"x.yaml:{place[0]}:{place[1]}"
        # what is not in the file is told at the deepest part of its path that is
        error = origin.error((*path, "absent", 3), "wrong")
        assert (error.file, error.line, error.column) == ("x.yaml", *place)


def test_a_word_in_a_list_is_found_by_itself() -> None:
    origin = read_yaml("methods: [none,\n  kd+at]", "x.yaml")
    assert origin.place(("methods", "kd+at")) == "x.yaml:2:3"
    assert origin.place(("methods", "dkd")) == "x.yaml:1:1"


def test_a_merged_key_stands_where_it_was_written_and_an_own_key_counts_first() -> None:
    text = "base: &base\n  lr: 1\n  epochs: 2\nown:\n  <<: *base\n  epochs: 3"
    origin = read_yaml(text, "x.yaml")
    assert origin.data["own"] == {"lr": 1, "epochs": 3}
    assert origin.place(("own", "lr")) == "x.yaml:2:3"
    assert origin.place(("own", "epochs")) == "x.yaml:6:3"


def test_an_error_without_any_known_place_points_at_the_start() -> None:
    assert str(read_yaml("a: 1", "x.yaml").error(("b",), "wrong")) == "x.yaml:1:1: wrong"


def test_an_override_hides_the_places_below_it() -> None:
    origin = read_yaml("a: {b: {c: 1}}\nd: 2", "x.yaml")
    origin.override(("a", "b"), "a.b={e: 2}")
    assert origin.place(("a", "b", "c")) == "--set a.b={e: 2}"
    assert origin.place(("a",)) == "x.yaml:1:1"
    assert origin.place(("d",)) == "x.yaml:2:1"
    assert origin.settings_below(("a",)) == ["a.b={e: 2}"]
    assert origin.settings_below(("a", "b")) == []
    origin.override(("a",), "a=1")
    assert origin.overridden == {("a",): "a=1"}


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("a: 1\nb: 2\na: 3", (3, 1), "the key 'a' stands here a second time .first on line 1."),
        ("a:\n  b: {c: 1, c: 2}", (2, 13), "the key 'c' stands here a second time"),
        ("a: [1, {x: 1,\n  x: 2}]", (2, 3), "the key 'x' stands here a second time"),
        ("a: 1\n3: 2", (2, 1), "a key must be a name, not '3'"),
        ("a: 1\n~: 2", (2, 1), "a key must be a name, not '~'"),
        ("a: 1\non: 2", (2, 1), "a key must be a name, not 'on'"),
        ("? [a, b]\n: 2", (1, 3), "a key must be a name, not a list or a section"),
        ("a: {b: 1", (1, 9), "not valid YAML .while parsing a flow mapping"),
        ("a:\n\tb: 1", (2, 1), r"not valid YAML .*cannot start any token"),
        ("a: 1\n---\nb: 2", (2, 1), "not valid YAML .expected a single document"),
        ("a: *b", (1, 4), "not valid YAML .*undefined alias"),
        ("a: 1\nb: x\0y", (2, 5), r"the character U\+0000 cannot stand in YAML"),
        ("a: !!int x", (1, 4), "not valid YAML .'x' does not fit its tag"),
        (
            "a: 1\nb: !!timestamp x",
            (2, 4),
            "not valid YAML .the tag '.*timestamp' has no place here",
        ),
        ("a: 1\nb: !!float x", (2, 4), "not valid YAML .'x' does not fit its tag"),
        (
            "a: !!python/object/apply:os.system [ls]",
            (1, 4),
            "the tag '.*os.system' has no place here",
        ),
        ("", (1, 1), "the file is empty; write the sections study, data"),
        ("# nothing\n", (1, 1), "the file is empty"),
        ("- a\n- b", (1, 1), "the file holds no keys"),
        ("word", (1, 1), "the file holds no keys"),
        ("a: &x {b: *x}", (None, None), "an anchor .&. holds itself"),
        ("a: &x\n  <<: *x", (None, None), "an anchor .&. holds itself"),
        ("a: " + "[" * 2000 + "]" * 2000, (None, None), "nested too deeply"),
    ],
)
def test_what_is_no_sound_file_is_refused_at_its_place(
    text: str, place: tuple[int | None, int | None], words: str
) -> None:
    with pytest.raises(SpecError, match=words) as caught:
        read_yaml(text, "x.yaml")
    assert (caught.value.line, caught.value.column) == place
    assert str(caught.value).startswith("x.yaml:")
    assert "\n" not in str(caught.value)


def test_a_path_is_written_with_dots() -> None:
    assert dotted(("students", 0, "width")) == "students.0.width"
    assert Origin("x", "").place(()) == "x:1:1"
