"""One sentence for a faulty file: the fault that tells most, at its line and column."""

from __future__ import annotations

import pytest

from kdsearch.errors import SpecError
from kdsearch.spec import parse_spec


def told(text: str) -> tuple[int | None, int | None, str]:
    with pytest.raises(SpecError) as caught:
        parse_spec(text, file="x.yaml")
    assert caught.value.file == "x.yaml"
    assert "\n" not in caught.value.message
    return caught.value.line, caught.value.column, caught.value.message


@pytest.mark.parametrize(
    ("right", "wrong", "at", "message"),
    [
        ("students:", "studens:", "studens", "unknown key 'studens'; did you mean 'students'?"),
        ("name: small", "nam: small", "nam:", "unknown key 'study.nam'; did you mean 'name'?"),
        ("crop: 1", "corp: 1", "corp", "unknown key 'data.augment.corp'; did you mean 'crop'?"),
        (
            "width: 1",
            "widht: 1",
            "widht",
            "unknown key 'teacher.model.widht'; did you mean 'width'?",
        ),
        (
            "epochs: 4",
            "epoch: 4",
            "epoch:",
            "unknown key 'teacher.training.epoch'; did you mean 'e",
        ),
        (
            "    width: {",
            "    widht: {",
            "widht",
            "unknown key 'students.0.widht'; did you mean 'w",
        ),
        ("mlp, depth", "mlp, dept", "dept", "unknown key 'students.1.dept'; did you mean 'depth'?"),
        (
            "log: true",
            "logg: true",
            "logg",
            "unknown key 'students.0.width.logg'; did you mean 'lo",
        ),
        (
            "choices: [1",
            "choises: [1",
            "choises",
            "'students.1.depth.choises'; did you mean 'choic",
        ),
        ("[1, 2]", "[1, 2], low: 1", "low: 1}", "'students.1.depth.low'; valid: choices"),
        ("high: 0.1}", "hihg: 1}", "hihg", "unknown key 'training.lr.hihg'; did you mean 'high'?"),
        ("epochs: 2", "trials: 2", "trials", "unknown key 'training.trials'; valid: batch_size, "),
    ],
)
def test_a_wrong_key_is_told_at_its_place_with_the_nearest_name(
    text: str, right: str, wrong: str, at: str, message: str
) -> None:
    assert right in text
    faulty = text.replace(right, wrong, 1)
    offset = faulty.index(at)
    line, column, found = told(faulty)
    assert (line, column) == (
        faulty.count("\n", 0, offset) + 1,
        offset - faulty.rfind("\n", 0, offset),
    )
    assert message in found


def test_a_method_s_range_is_told_like_any_other(text: str) -> None:
    faulty = text.replace(
        "methods: [none, kd, kd+at]", "methods:\n  kd:\n    temperature: {low: 1, hihg: 4}"
    )
    line = faulty.splitlines().index("    temperature: {low: 1, hihg: 4}") + 1
    assert told(faulty) == (
        line,
        27,
        "unknown key 'methods.kd.temperature.hihg'; did you mean 'high'?",
    )


def test_a_misspelt_key_counts_before_a_missing_and_a_wrong_one(text: str) -> None:
    faulty = text.replace("name: small", "nam: small\n  seed: many")
    assert told(faulty)[2] == "unknown key 'study.nam'; did you mean 'name'?"
    assert told(faulty.replace("nam:", "seeds:"))[2].startswith("unknown key 'study.seeds'")


def test_a_wrong_value_counts_before_a_missing_key(text: str) -> None:
    faulty = text.replace("name: small", "seed: many")
    assert told(faulty) == (2, 3, "study.seed must be a whole number, not 'many'")


def test_a_faulty_item_is_told_and_not_that_the_list_is_short_of_sound_ones(text: str) -> None:
    faulty = text.replace("  - {family: mlp, depth: {choices: [1, 2]}}\n", "")
    faulty = faulty.replace(", high: 1.0", "")
    assert told(faulty)[2] == "'students.0.width.high' is missing; add it"


@pytest.mark.parametrize(
    ("gone", "line", "missing"),
    [
        ("  name: small\n", 1, "study must be a section of keys and values; it is empty here"),
        ("study:\n  name: small\n", 1, "'study' is missing; add it"),
        ("  model: {family: convnet, width: 1}\n", 6, "'teacher.model' is missing; add it"),
        ("methods: [none, kd, kd+at]\n", 1, "'methods' is missing; add it"),
    ],
)
def test_a_missing_key_is_told_where_it_belongs(
    text: str, gone: str, line: int, missing: str
) -> None:
    assert gone in text
    assert told(text.replace(gone, "")) == (line, 1, missing)


def test_a_twice_named_method_is_told_at_the_methods(text: str) -> None:
    line = text.splitlines().index("methods: [none, kd, kd+at]") + 1
    faulty = text.replace("kd+at]", "kd]")
    assert told(faulty) == (line, 1, "methods: the method 'kd' is named twice; remove one")
