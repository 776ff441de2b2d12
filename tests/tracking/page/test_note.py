"""The text of a study's page: the answer first, each number that of the study's files."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from PIL import Image

from kdsearch.api import write_pictures
from kdsearch.export.report import write_tables
from kdsearch.results.front_file import front_content
from kdsearch.results.pick import pick
from kdsearch.results.record import TrialRecord
from kdsearch.results.study import Study
from kdsearch.spec.teaching import TEACHER
from kdsearch.tracking.page.note import GAP, LONGEST, NOTE, Places, final_note
from kdsearch.tracking.page.views import VIEW
from kdsearch.tracking.recorder import Recorder
from kdsearch.tracking.store import Store
from tests.tracking.playing import finish, nested, play

LINK = re.compile(r"\[trial (\d+)\]\(#/experiments/(\d+)/runs/(\w+)\)")


def note(store: Store, study: Study) -> str:
    return store.client.get_run(study.state["mlflow"]["run_id"]).data.tags[NOTE]


def test_the_page_of_a_study_tells_the_answer_first_and_links_to_the_runs(
    study: Study, store: Store, records: list[TrialRecord]
) -> None:
    recorder = Recorder(store)
    recorder.study_started(study)
    begun = note(store, study)
    assert begun.startswith("**Running**: Which student for digits should be shipped: accuracy ")
    assert "300 samples for training and 80 for validation (image 1×8×8)" in begun
    assert "100,000 parameters" in begun
    play(recorder, records)
    finish(recorder, study)
    assert recorder.failure is None
    text = note(store, study)
    content, runs = front_content(study), nested(store.client, study)
    chosen = pick(content).row
    first = text.splitlines()[0]
    assert first.startswith(f"**Ship [trial {chosen['trial']}](#/experiments/")
    assert f"{chosen['parameters']:,} parameters, {chosen['test_accuracy']:.2%} ± " in first
    links = LINK.findall(text)
    assert {int(number) for number, *_ in links} == set(study.front["trial"])
    for number, experiment, run in links:
        assert run == runs[int(number)].info.run_id
        assert experiment == store.experiment_id
    lines = text.splitlines()
    for row in content["front"]:
        (line,) = (each for each in lines if each.startswith(f"| [trial {row['trial']}]"))
        half = row["test_accuracy_ci"]
        cells = [cell.strip() for cell in line.replace(GAP, "").split("|")]
        score = f"{row['test_accuracy']:.2%} ± {half:.2%}"
        assert [f"{row['parameters']:,}", score] == cells[4:6]
    assert "(4 complete, 1 failed" in text or "(5 complete, 1 failed)" in text
    assert "1 of the trials failed" in text
    assert "**Teacher**: convnet-2 ×1, " in text
    assert "**Cost**: search 18 s (18 epochs of 6 trainings), finalists " in text


def test_the_picture_of_the_page_fits_beside_the_text(
    study: Study, store: Store, records: list[TrialRecord], tmp_path: Path
) -> None:
    recorder = Recorder(store)
    recorder.study_started(study)
    play(recorder, records)
    finish(recorder, study)
    parent = study.state["mlflow"]["run_id"]
    found = re.search(r"!\[.*\]\(get-artifact\?path=(.+)&run_uuid=(\w+)\)", note(store, study))
    assert found is not None
    assert found[2] == parent
    file = store.client.download_artifacts(parent, found[1], str(tmp_path))
    with Image.open(file) as picture:
        assert 400 < picture.width <= 780, "the page cuts what is wider"


def test_every_class_of_size_has_its_answer(study: Study) -> None:
    content = front_content(study)
    text = final_note(study, Places("1", "parent"))
    sizes = sorted(row["parameters"] for row in content["front"])
    classes = re.findall(r"\*\*up to ([\d,]+) parameters\*\*: (.*)", text)
    bounds = [int(bound.replace(",", "")) for bound, _ in classes]
    assert bounds == [10**power for power in range(2, 5) if 10**power >= sizes[0]]
    for bound, answer in zip(bounds, (answer for _, answer in classes), strict=True):
        number = int(answer.split()[1].rstrip(","))
        (row,) = (each for each in content["front"] if each["trial"] == number)
        assert row["parameters"] <= bound


def test_a_study_that_stopped_says_why(
    study: Study, store: Store, records: list[TrialRecord]
) -> None:
    recorder = Recorder(store)
    recorder.study_started(study)
    play(recorder, records[:2])
    recorder.study_stopped(study, "failed", "the disk | is full")
    text = note(store, study)
    assert text.startswith("**Stopped early** (the disk \\| is full): Which student for digits")


def test_a_study_whose_finalists_are_not_judged_has_no_answer(study: Study) -> None:
    study.directory.finalists.path.write_bytes(b"")
    text = final_note(study, Places("1", "parent"))
    assert text.startswith("**No answer**: no finalist of tiny is judged yet")
    assert "up to" not in text


def test_the_share_of_the_teacher_is_told_where_it_is_known(study: Study) -> None:
    assert "not known" in final_note(study, Places("1", "parent"))
    study.directory.update(compared={"test": {"accuracy": 0.8}, "validation": {"accuracy": 0.8}})
    text = final_note(study, Places("1", "parent"))
    row = front_content(study)["front"][0]
    assert f"| {row['test_accuracy'] / 0.8:.1%}{GAP} |" in text
    assert "80.00% on the test" in text
    assert study.state["teachers"][TEACHER]


def test_a_note_that_is_too_long_is_cut_at_a_line(study: Study) -> None:
    views = {f"view {number}": "#" + "a" * 500 for number in range(40)}
    text = final_note(study, Places("1", "parent", views=views))
    assert len(text) < LONGEST + 100
    assert text.endswith("… the rest is in report.html")


@pytest.mark.parametrize("version", ["3.17.2", "4.0.0"])
def test_views_are_saved_for_the_version_that_is_tested(
    study: Study,
    store: Store,
    records: list[TrialRecord],
    version: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("mlflow.__version__", version)
    recorder = Recorder(store)
    recorder.study_started(study)
    play(recorder, records)
    write_tables(study)
    write_pictures(study)
    recorder.study_finished(study)
    tags = store.client.get_experiment(store.experiment_id).tags
    keys = {name.removeprefix(VIEW) for name in tags if name.startswith(VIEW)}
    linked = set(re.findall(r"viewStateShareKey=([\w-]+)", note(store, study)))
    assert keys == linked
    assert len(keys) == (3 if version == "3.17.2" else 0)
