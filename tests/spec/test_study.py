"""The whole spec: methods by name, the text it came from, and errors about its values."""

from __future__ import annotations

import pickle

from kdsearch.errors import SpecError
from kdsearch.spec import Range, StudySpec, parse_spec

VALUES = {
    "study": {"name": "a"},
    "data": {"source": "digits"},
    "teacher": {"model": {"family": "mlp"}},
    "students": [{"family": "mlp"}],
}


def test_methods_are_named_in_a_list_or_given_values_in_a_section() -> None:
    listed = StudySpec(**VALUES, methods=["none", "kd"])
    assert listed.methods == {"none": {}, "kd": {}}
    keyed = StudySpec(
        **VALUES, methods={"kd": {"temperature": {"low": 1, "high": 4}}, "none": None}
    )
    assert keyed.methods == {"kd": {"temperature": Range(low=1, high=4)}, "none": {}}


def test_a_spec_made_in_python_has_no_file_and_names_its_values() -> None:
    spec = StudySpec(**VALUES, methods=["kd"])
    assert (spec.text, spec.file) == ("", None)
    assert spec.place(("students", 0, "width")) == "students.0.width"
    error = spec.refuse(("students", 0, "width"), "too wide; lower it")
    assert str(error) == "students.0.width: too wide; lower it"
    assert error.line is None


def test_a_spec_from_a_file_knows_where_its_values_stand(text: str) -> None:
    spec = parse_spec(text, ["search.trials=3"], file="space.yaml")
    assert (spec.text, spec.file) == (text, "space.yaml")
    line = text.splitlines().index("    width: {low: 0.2, high: 1.0, log: true}") + 1
    error = spec.refuse(("students", 0, "width", "high"), "too wide; lower it")
    column = len("    width: {low: 0.2, ") + 1
    assert str(error) == f"space.yaml:{line}:{column}: too wide; lower it"
    assert (error.line, error.column) == (line, column)
    assert spec.place(("search", "trials")) == "--set search.trials=3"
    assert str(spec.refuse(("search", "trials"), "few")) == "--set search.trials=3: few"


def test_an_error_of_a_spec_survives_the_way_between_processes(text: str) -> None:
    error = parse_spec(text, file="a.yaml").refuse(("study", "name"), "taken; choose another")
    again = pickle.loads(pickle.dumps(error))
    assert isinstance(again, SpecError)
    assert (str(again), again.line, again.exit_code) == (str(error), 2, 2)
