"""``--set``: one value changes, everything else stays, and what leads nowhere is refused."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from kdsearch.errors import SpecError
from kdsearch.spec import parse_spec
from kdsearch.spec.origin import Origin, dotted, read_yaml
from kdsearch.spec.overrides import apply_override

_keys = st.sampled_from(["a", "b", "c", "lr", "width"])
_trees = st.recursive(
    st.integers(-9, 9),
    lambda inner: st.dictionaries(_keys, inner, max_size=3) | st.lists(inner, max_size=3),
    max_leaves=10,
)


def _paths(tree: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    pairs = tree.items() if isinstance(tree, dict) else enumerate(tree)
    found = []
    for key, inner in pairs:
        found.append((*path, key))
        if isinstance(inner, dict | list):
            found += _paths(inner, (*path, key))
    return found


@given(st.dictionaries(_keys, _trees, min_size=1, max_size=4), st.data())
def test_one_value_changes_and_no_other(tree: dict[str, Any], data: st.DataObject) -> None:
    path = data.draw(st.sampled_from(_paths(tree)))
    value = data.draw(_trees)
    wanted = deepcopy(tree)
    here: Any = wanted
    for part in path[:-1]:
        here = here[part]
    here[path[-1]] = value

    origin = Origin("x.yaml", "", data=deepcopy(tree))
    text = f"{dotted(path)}={yaml.safe_dump(value, default_flow_style=True, width=10**6).strip()}"
    apply_override(origin, text)
    assert origin.data == wanted
    assert list(origin.overridden) == [path]


def test_absent_sections_are_made_on_the_way() -> None:
    origin = read_yaml("study: {name: x}\nsearch:", "x.yaml")
    apply_override(origin, "data.augment.crop=2")
    apply_override(origin, "search.trials = 3")
    assert origin.data == {
        "study": {"name": "x"},
        "search": {"trials": 3},
        "data": {"augment": {"crop": 2}},
    }


def test_a_section_shared_by_an_anchor_is_changed_in_one_place_alone() -> None:
    origin = read_yaml("a: &shared {lr: {low: 1}}\nb: *shared", "x.yaml")
    apply_override(origin, "b.lr.low=2")
    assert origin.data == {"a": {"lr": {"low": 1}}, "b": {"lr": {"low": 2}}}


def test_a_method_of_a_plain_list_can_be_given_a_value(text: str) -> None:
    spec = parse_spec(
        text, ["methods.kd.temperature=4", "methods.kd+at.at.weight={low: 1, high: 2}"]
    )
    assert list(spec.methods) == ["none", "kd", "kd+at"]
    assert spec.methods["kd"] == {"temperature": 4}
    assert spec.methods["kd+at"]["at.weight"].bounds() == (1, 2)
    assert parse_spec(text, ["methods.1=dkd"]).methods.keys() == {"none", "dkd", "kd+at"}


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("search.trials", "write it as section.key=value"),
        ("=3", "write it as section.key=value"),
        ("search..trials=3", "write it as section.key=value"),
        ("search.=3", "write it as section.key=value"),
        ("search.trials=[", "not valid YAML"),
        ("search={trials: 1, trials: 2}", "the key 'trials' stands here a second time"),
        ("study.name.x=3", "'study.name' is a single value and has no keys"),
        ("study.name.x.y=3", "'study.name' is a single value and has no keys"),
        ("students.2.width=3", "the list 'students' has the items 0 to 1, not '2'"),
        ("students.-1.width=3", "the list 'students' has the items 0 to 1, not '-1'"),
        ("students.first=3", "the list 'students' has the items 0 to 1, not 'first'"),
        ("students.1.depth.choices.5=3", "'students.1.depth.choices' has the items 0 to 1"),
    ],
)
def test_what_leads_nowhere_is_refused(text: str, override: str, words: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse_spec(text, [override])
    assert str(caught.value).startswith(f"--set {override}: ")
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("search.trails=3", "unknown key 'search.trails'; did you mean 'trials'?"),
        ("data.augment.corp=3", "unknown key 'data.augment.corp'; did you mean 'crop'?"),
        ("zzz.at.all=3", "unknown key 'zzz'; valid: cache, data, finalists,"),
        ("search.trials=many", "search.trials must be a whole number, not 'many'"),
        ("search.trials=", "search.trials must be a whole number; it is empty here"),
        ("search=3", "search must be a section of keys and values, not 3"),
        ("students.0.width.hgih=3", "unknown key 'students.0.width.hgih'; did you mean 'high'?"),
        ("teacher.model={width: 1}", "'teacher.model.family' is missing; add it"),
    ],
)
def test_a_wrong_value_is_told_with_the_text_that_set_it(
    text: str, override: str, told: str
) -> None:
    with pytest.raises(SpecError) as caught:
        parse_spec(text, [override])
    assert str(caught.value).startswith(f"--set {override}: {told}")


def test_a_fault_between_the_file_and_an_override_names_both(text: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse_spec(text, ["students.0.width.low=3"], file="x.yaml")
    assert str(caught.value) == (
        "x.yaml:12:5: students.0.width: low (3) is above high (1); swap them "
        "(with --set students.0.width.low=3)"
    )
