"""The journal: what was appended is read back, torn lines and doubles are left out."""

from __future__ import annotations

from pathlib import Path

import pytest

from kdsearch.errors import StudyError
from kdsearch.results.record import Journal
from tests.records import trial


def test_what_was_appended_is_read_back(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "trials.jsonl")
    assert journal.read() == {}
    records = [trial(2, 0.5, 10), trial(0, None, 20)]
    for record in records:
        journal.append(record)
    assert list(journal.read().values()) == records


def test_a_torn_line_is_left_out_and_overwritten(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "trials.jsonl")
    journal.append(trial(0, 0.5, 10))
    whole = journal.path.read_bytes()
    journal.path.write_bytes(whole + whole[: len(whole) // 2])
    assert list(journal.read()) == [0]
    journal.append(trial(1, 0.6, 10))
    assert list(journal.read()) == [0, 1]
    assert journal.path.read_bytes().count(b"\n") == 2


def test_a_damaged_line_is_told_not_skipped(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "trials.jsonl")
    journal.append(trial(0, 0.5, 10))
    journal.path.write_bytes(journal.path.read_bytes() + b'{"number": 1}\n')
    with pytest.raises(StudyError, match=r"line 2 of .*trials.jsonl is damaged"):
        journal.read()


def test_of_two_records_with_one_number_the_first_counts(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "trials.jsonl")
    journal.append(trial(0, 0.5, 10))
    journal.append(trial(0, 0.9, 10))
    assert journal.read()[0].scores["accuracy"] == 0.5


def test_what_becomes_of_one_that_was_put_aside_supersedes_it(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "trials.jsonl")
    aside = [trial(number, 0.5, 10).model_copy(update={"status": "paused"}) for number in (0, 1)]
    longer = aside[0].model_copy(update={"epochs": aside[0].epochs * 2})
    lines = [*aside, trial(2, 0.7, 10), longer, trial(0, 0.8, 10), trial(0, 0.9, 10)]
    for record in lines:
        journal.append(record)
    assert list(journal.read().values()) == [aside[1], lines[2], lines[4]]
    assert journal.lines() == lines


@pytest.mark.parametrize("torn", [1, 4095, 4096, 4097, 20_000])
def test_a_torn_line_of_any_length_is_overwritten(tmp_path: Path, torn: int) -> None:
    journal = Journal(tmp_path / "trials.jsonl")
    journal.path.write_bytes(b"{" * torn)
    assert journal.read() == {}
    journal.append(trial(0, 0.5, 10))
    with journal.path.open("ab") as file:
        file.write(b"{" * torn)
    journal.append(trial(1, 0.6, 10))
    assert [(number, record.scores["accuracy"]) for number, record in journal.read().items()] == [
        (0, 0.5),
        (1, 0.6),
    ]
    assert journal.path.read_bytes().count(b"\n") == 2
