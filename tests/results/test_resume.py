"""What a resumed study may change: every kind of value against the spec that it was made with."""

from __future__ import annotations

from pathlib import Path

import pytest

from kdsearch.errors import StudyError
from kdsearch.results.resume import DataFacts, Inputs, changed, check_retry
from kdsearch.spec import parse_spec

DATA = DataFacts(
    name="digits", fingerprint="a" * 64, train=300, validation=80, inputs={"image": (1, 8, 8)}
)
INPUTS = Inputs(id="1", data=DATA, checkpoints={"teacher": "c0ffee", "second": "beef"})
TEACHERS = "teachers={second: {model: {family: mlp}, checkpoint: b.pt}}"


@pytest.mark.parametrize(
    "override",
    [
        "study.directory=elsewhere",
        "data.root=/moved/here",
        "data.root=null",
        "data.table.file=/moved/birds.csv",
        "teacher.checkpoint=moved/a.pt",
        "teachers.second.checkpoint=moved/b.pt",
        "search.trials=99",
        "finalists.seeds=5",
        "resources.concurrent=7",
        "tracking.experiment=another",
    ],
)
def test_what_may_change(spec_text: str, override: str) -> None:
    given = ["data.root=here", "data.table={file: birds.csv}", "teacher.checkpoint=a.pt", TEACHERS]
    old = parse_spec(spec_text, given)
    assert changed(old, parse_spec(spec_text, [*given, override])) is None


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("study.seed=4", "study.seed (3, now 4)"),
        ("data.source=mnist", "data.source (digits, now mnist)"),
        ("teacher.checkpoint=null", "teacher.checkpoint (a.pt, now None)"),
        ("students.0.width.high=2", "students.0.width.high (1.0, now 2.0)"),
        ("training.epochs=2", "training.epochs (1, now 2)"),
        ("data.table={file: birds.csv, weight: w}", "data.table.image (None, now image)"),
        ("training.sampling=balanced", "training.sampling (none, now balanced)"),
    ],
)
def test_what_must_stay(spec_text: str, override: str, told: str) -> None:
    given = ["teacher.checkpoint=a.pt"]
    old = parse_spec(spec_text, given)
    assert changed(old, parse_spec(spec_text, [*given, override])) == told


def test_a_trained_teacher_is_not_replaced_by_a_given_one(spec_text: str) -> None:
    new = parse_spec(spec_text, ["teacher.checkpoint=a.pt"])
    assert changed(parse_spec(spec_text), new) == "teacher.checkpoint (None, now a.pt)"


def test_other_data_and_other_checkpoints_are_refused() -> None:
    INPUTS.check(INPUTS.model_copy(update={"id": "2", "past": []}), Path("x"))
    other = DATA.model_copy(update={"fingerprint": "b" * 64})
    with pytest.raises(StudyError, match=r"aaaaaaaaaaaa, now bbbbbbbbbbbb\); restore the data"):
        INPUTS.check(INPUTS.model_copy(update={"data": other}), Path("x"))
    for name, setting in (("teacher", "teacher"), ("second", r"teachers\.second")):
        given = INPUTS.checkpoints | {name: "f00d"}
        told = rf"another file of {setting}\.checkpoint \(checksum \w+, now f00d\); restore"
        with pytest.raises(StudyError, match=told):
            INPUTS.check(INPUTS.model_copy(update={"checkpoints": given}), Path("x"))


def test_only_a_resume_tries_again_what_has_failed() -> None:
    check_retry(resume=True, retry_failed=True)
    check_retry(resume=False, retry_failed=False)
    with pytest.raises(StudyError, match="give --resume too"):
        check_retry(resume=False, retry_failed=True)


def test_other_code_of_the_users_is_refused_unless_it_mends_what_failed() -> None:
    name, study = "own:net", Path("x")
    known = INPUTS.model_copy(update={"code": {name: "a" * 64, "own:Method": "b" * 64}})
    edited = INPUTS.model_copy(update={"code": {name: "c" * 64, "own:Method": "b" * 64}})
    known.check(known, study)
    INPUTS.check(edited, study)  # of a study of an earlier kdsearch nothing is known
    with pytest.raises(StudyError, match=r"made with other code of own:net, .* --retry-failed too"):
        known.check(edited, study)
    known.check(edited, study, retry_failed=True)
