"""From a file to a spec and back."""

from __future__ import annotations

import json
import os
import string
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from kdsearch.errors import SpecError
from kdsearch.spec import StudySpec, load_spec, parse_spec
from kdsearch.spec.load import dump_spec

from .documents import documents


@settings(max_examples=60)
@given(documents())
def test_a_resolved_spec_reads_back_as_itself(document: dict[str, Any]) -> None:
    spec = StudySpec.model_validate(document)
    again = parse_spec(dump_spec(spec))
    assert again.model_dump() == spec.model_dump()
    assert dump_spec(again) == dump_spec(spec)


@settings(max_examples=40)
@given(documents(st.text(string.printable[:95], min_size=1)))
def test_the_file_and_its_values_in_python_give_the_same_spec(document: dict[str, Any]) -> None:
    text = json.dumps(document)  # which is YAML too
    assert parse_spec(text).model_dump() == StudySpec.model_validate(document).model_dump()


def test_every_default_is_written_out(text: str) -> None:
    resolved = yaml.safe_load(dump_spec(parse_spec(text)))
    assert resolved["search"]["sampler"] == "tpe"
    assert resolved["training"]["optimizer"] == "sgd"
    assert resolved["students"][0]["width"] == {"low": 0.2, "high": 1.0, "log": True, "step": None}
    assert resolved["methods"] == {"none": {}, "kd": {}, "kd+at": {}}


def test_a_file_is_read_with_its_overrides_in_order(tmp_path: Path, text: str) -> None:
    file = tmp_path / "space.yaml"
    file.write_text(text, encoding="utf-8")
    spec = load_spec(file, ["search.trials=7", "search.trials=8", "training.lr=1e-3"])
    assert (spec.search.trials, spec.training.lr) == (8, 0.001)
    assert (spec.file, spec.text) == (str(file), text)


def test_a_byte_order_mark_is_no_part_of_the_first_key(tmp_path: Path, text: str) -> None:
    file = tmp_path / "space.yaml"
    file.write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert load_spec(file).study.name == "small"


def test_what_cannot_be_read_is_said(tmp_path: Path) -> None:
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(bytes(range(256)))
    for path, words in (
        (tmp_path / "missing.yaml", "no such file: .*missing.yaml; check the path"),
        (tmp_path, "is a folder; give the search-space file in it"),
        (binary, "is not a text file in UTF-8"),
        (binary / "below", "cannot read .*Not a directory"),
    ):
        with pytest.raises(SpecError, match=words) as caught:
            load_spec(path)
        assert os.fspath(path) in str(caught.value)
