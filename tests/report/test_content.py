"""What the page shows is what the study's tables and journals hold."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from kdsearch.report.content import content, plain
from kdsearch.report.curves import curves
from kdsearch.report.page import page, write_page
from kdsearch.report.progress import progress
from kdsearch.report.trials import finalist_rows
from kdsearch.results.record import TrialRecord
from kdsearch.results.study import Study
from tests.export.conftest import strict_json
from tests.full_disk import no_room_for


def data_of(text: str) -> dict:
    """What a page holds, as other languages read it."""
    (found,) = re.findall(r'<script type="application/json" id="data">\n(.*)\n</script>', text)
    return strict_json(found)


def test_trials_and_finalists_are_those_of_the_tables(study: Study) -> None:
    shown, trials = content(study), study.trials.set_index("trial")
    assert [row["trial"] for row in shown["trials"]] == trials.index.tolist()
    for row in shown["trials"]:
        told = trials.loc[row["trial"]]
        assert (row["method"], row["front"], row["status"]) == (
            told["method"],
            told["front"],
            told["status"],
        )
        assert row["sizes"]["macs"] == told["macs"]
        if row["status"] == "complete":
            assert row["scores"]["accuracy"] == pytest.approx(told["validation_accuracy"])
        else:
            assert (row["scores"], row["reason"]) == ({}, "the loss became nan in epoch 3")
    front = study.front.set_index("trial")
    assert [row["trial"] for row in shown["finalists"]] == front.index.tolist()
    for row in shown["finalists"]:
        told = front.loc[row["trial"]]
        assert row["test"]["accuracy"] == pytest.approx(
            [told["test_accuracy"], told["test_accuracy_ci"]], rel=1e-5
        )
        assert row["gain"] == pytest.approx([told["gain"], told["gain_ci"]], rel=1e-5)
    assert shown["objective"] == "accuracy"
    assert shown["metrics"]["accuracy"]["loss_title"] == "error"
    assert shown["pick"] in front.index
    assert "helps" in shown["verdict"]


def test_a_baseline_that_is_not_none_is_named(study: Study) -> None:
    front = study.front
    assert {row["baseline_method"] for row in finalist_rows(study, front)} == {None}
    (alone, *_), labels = front.index, ["pseudo_label"] * len(front)
    other = front.assign(baseline_method=labels)
    other.loc[alone, ["method", "undistilled"]] = ["pseudo_label", True]
    first, *rest = finalist_rows(study, other)
    assert (first["undistilled"], first["gain"]) == (True, None)
    assert {row["baseline_method"] for row in rest} == {"pseudo_label"}
    assert not any(row["undistilled"] for row in rest)


def test_a_temperature_and_its_weight_are_those_of_the_term_on_logits(study: Study) -> None:
    rows = {row["trial"]: row for row in content(study)["trials"]}
    assert rows[0]["response"] == {"temperature": 4.0, "weight": 0.9}
    assert rows[2]["response"] is None
    assert rows[0]["values"]["distillation weight"] == 0.9
    assert rows[2]["values"]["temperature"] is None


def test_columns_of_quantized_students_are_passed_on(study: Study) -> None:
    front = study.front.assign(int8_accuracy=0.61, int8_accuracy_ci=0.02, int8_other="told")
    for row in finalist_rows(study, front):
        assert (row["int8"]["accuracy"], row["int8"]["accuracy_ci"]) == (0.61, 0.02)
        assert row["int8"]["other"] == "told"
    shown = content(study)
    assert all(row["int8"]["bytes"] is None for row in shown["finalists"]), "none was quantized"


def test_the_hypervolume_grows_as_the_study_tells(study: Study) -> None:
    rows = progress(study.directory.trials.lines(), study.objectives, study.largest)
    assert [row["hypervolume"] for row in rows] == pytest.approx(study.hypervolumes())
    assert [row["trials"] for row in rows] == [1, 2, 3, 4, 5]


def test_epochs_of_trials_that_wait_or_fail_are_spent(records: list[TrialRecord]) -> None:
    from kdsearch.results.objectives import Objectives

    first, second = records[0], records[1]
    waits = second.model_copy(update={"status": "paused", "epochs": second.epochs[:2]})
    failed = records[2].model_copy(update={"status": "failed", "epochs": records[2].epochs[:1]})
    lines = [waits, failed, first, second, waits]
    rows = progress(lines, Objectives(), (100_000,))
    # 3 of its own, 2 of the one that waits and 1 of the one that failed; then one more
    assert [row["epochs"] for row in rows] == [6, 7]
    assert [row["seconds"] for row in rows] == [6.0, 7.0]


def test_curves_tell_after_which_epochs_a_trial_was_paused(records: list[TrialRecord]) -> None:
    record = records[0]
    waits = [
        record.model_copy(update={"status": "paused", "epochs": record.epochs[:count]})
        for count in (1, 2, 2)
    ]
    found = curves([record, records[1]], [*waits, record], ["accuracy", "loss", "gone"])
    assert found["0"]["paused"] == [1, 2]
    assert found["0"]["loss"] == [1.0, 0.5, 1 / 3]
    assert found["0"]["gone"] == [None, None, None]
    assert found["1"]["paused"] == []


def test_the_page_is_one_file_without_an_address(study: Study) -> None:
    path = write_page(study)
    text = path.read_text()
    assert path == study.directory.path / "report.html"
    assert "plotly.js v" in text
    own = text[: text.index("plotly.js v")] + text[text.index('id="data"') :]
    assert re.findall(r'(?:src|href|url)\s*[=(]\s*["\']?(?!data:)\w', own) == []
    assert "http" not in own
    assert "{{" not in own
    assert data_of(text)["study"]["name"] == "tiny"


def test_a_page_that_a_run_writes_at_its_end_is_of_a_finished_study(study: Study) -> None:
    study.directory.update(state="running", phase="report")
    assert content(study, ended=True)["study"]["state"] == "finished"
    assert content(study)["study"]["state"] == "running", "as of one that was killed there"
    study.directory.update(state="failed", phase="report")
    assert content(study)["study"]["state"] == "failed"


def test_no_text_of_the_data_ends_its_element(study: Study) -> None:
    shown = content(study)
    shown["study"]["name"] = name = '</script><script>alert("x")</script><!-- {{script}}'
    text = page(shown)
    assert data_of(text)["study"]["name"] == name
    assert "<script>alert" not in text
    assert "&lt;/script&gt;" in text, "in the title"


def test_numbers_that_are_none_are_null() -> None:
    told = plain({"a": [float("nan"), 1 / 3, 12_345_678, True, None], "b": float("inf")})
    assert json.dumps(told, allow_nan=False) == (
        '{"a": [null, 0.333333, 12345678, true, null], "b": null}'
    )


def test_an_interrupted_study_is_told_as_far_as_it_came(study: Study) -> None:
    study.directory.update(state="interrupted", reason="interrupted")
    study.directory.finalists.path.unlink()
    shown = content(study)
    assert shown["study"]["state"] == "interrupted"
    assert shown["pick"] is None
    assert all(row["test"]["accuracy"] is None for row in shown["finalists"])
    assert len(shown["progress"]) == 5
    study.directory.trials.path.unlink()
    shown = content(study)
    assert shown["trials"] == shown["progress"] == shown["ranking"] == []
    assert shown["importance"]["rows"] == []


def test_a_page_that_is_cut_off_leaves_the_earlier_one(study: Study, tmp_path: Path) -> None:
    path = write_page(study, tmp_path)
    before = path.read_bytes()
    no_room_for(path)
    with pytest.raises(OSError, match="No space left"):
        write_page(study, tmp_path)
    assert path.read_bytes() == before
