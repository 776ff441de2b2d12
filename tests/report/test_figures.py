"""The static figures hold the numbers of the tables."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from PIL import Image

from kdsearch.report.colours import method_colour
from kdsearch.report.content import content
from kdsearch.report.drawing import draw_front, draw_methods, draw_progress
from kdsearch.report.figures import write_front, write_paper_figures
from kdsearch.report.progress import progress
from kdsearch.results.study import Study
from tests.full_disk import no_room_for

from .made import CLASSES, SCORES, make_study


def test_the_front_holds_trials_front_and_finalists(study: Study) -> None:
    study.directory.update(compared={"test": {"accuracy": 0.97}, "validation": {}})
    axes = Figure().add_subplot()
    draw_front(axes, study)
    drawn = dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
    assert set(drawn) == {
        "kd",
        "none",
        "front (validation)",
        "undistilled baseline (test)",
        "finalist (test)",
        "teacher (test)",
    }
    # the worst trial misses 0.5 of the accuracy and the best 0.05, so the axis is of the error
    assert axes.get_yscale() == "log"
    points = np.asarray(drawn["kd"].get_offsets()).round(6).tolist()
    assert sorted(points) == [[100, 50], [1_000, 20], [9_000, 5], [12_000, 7]]
    line = drawn["front (validation)"]
    assert list(line.get_xdata()) == [100, 1_000, 9_000, 12_000]
    assert list(line.get_ydata()) == pytest.approx([50, 20, 5, 5])
    finalists, front = drawn["finalist (test)"].lines[0], study.front
    assert list(finalists.get_xdata()) == front["parameters"].tolist()
    errors = 100 * (1 - front["test_accuracy"])
    assert list(finalists.get_ydata()) == pytest.approx(errors.tolist())
    assert drawn["teacher (test)"].get_ydata()[0] == pytest.approx(3)
    bottom, top = axes.get_ylim()
    assert bottom > top, "the smallest error is at the top"


def test_of_several_scores_the_line_is_the_best_of_the_first_up_to_each_size(
    tmp_path: Path,
) -> None:
    study = make_study(tmp_path, SCORES)
    axes = Figure().add_subplot()
    draw_front(axes, study)
    drawn = dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
    line = drawn["front (validation)"]
    trials = study.trials[study.trials["status"] == "complete"].sort_values("macs")
    best = trials["validation_ink/mae"].cummin()
    members = trials[trials["validation_ink/mae"] < best.shift(fill_value=np.inf)]
    assert members["trial"].tolist() != trials["trial"][trials["front"]].tolist()
    assert list(line.get_xdata()) == [*members["macs"], trials["macs"].max()]
    assert list(line.get_ydata()) == pytest.approx([*members["validation_ink/mae"], best.min()])


def test_a_method_has_one_colour_in_every_figure_and_in_mlflow(tmp_path: Path) -> None:
    """Also where the first of the spec's methods was never tried."""
    made = make_study(tmp_path, CLASSES)
    file = made.directory.trials.path
    lines = file.read_text().splitlines(keepends=True)
    labels = [json.loads(line)["task"]["method"]["label"] for line in lines]
    pairs = zip(lines, labels, strict=True)
    file.write_text("".join(line for line, label in pairs if label not in ("dist", "dkd")))
    made.directory.finalists.path.unlink()
    expected = {label: method_colour(label, made.spec.methods) for label in ("kd", "kd+fitnet")}
    page = {each["label"]: each["colour"] for each in content(made)["methods"]}
    assert "dist" not in page
    axes = Figure().add_subplot()
    draw_front(axes, made)
    drawn = dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
    for label, colour in expected.items():
        assert page[label] == colour
        assert to_hex(drawn[label].get_facecolor()[0]) == colour


def test_the_hypervolume_of_a_single_trial_is_a_mark(study: Study) -> None:
    axes = Figure().add_subplot()
    rows = progress(study.directory.trials.lines()[:1], study.objectives, study.largest)
    draw_progress(axes, rows)
    (line,) = axes.get_lines()
    assert (list(line.get_xdata()), line.get_marker()) == ([3], "o")


def test_methods_are_no_figure_where_none_has_enough_trials(tmp_path: Path) -> None:
    made = make_study(tmp_path, CLASSES.replace("trials: 60", "trials: 4"))
    paths = write_paper_figures(made, tmp_path)
    assert {path.stem for path in paths} == {"front", "hypervolume"}


def test_the_hypervolume_is_drawn_over_all_epochs(study: Study) -> None:
    axes = Figure().add_subplot()
    rows = progress(study.directory.trials.lines(), study.objectives, study.largest)
    draw_progress(axes, rows)
    (line,) = axes.get_lines()
    # five complete trials of 3 epochs each; before the last one, a trial had failed after 3
    assert list(line.get_xdata()) == [3, 6, 9, 12, 18]
    assert list(line.get_ydata()) == pytest.approx([100 * each for each in study.hypervolumes()])


def test_only_methods_with_enough_trials_are_compared(study: Study) -> None:
    axes = Figure().add_subplot()
    draw_methods(axes, study)
    assert [label.get_text() for label in axes.get_yticklabels()] == ["kd"]


def test_the_picture_of_the_front_has_something_on_it(study: Study) -> None:
    with Image.open(write_front(study)) as image:
        assert image.size == (1200, 720)
        pixels = np.asarray(image.convert("RGB")).reshape(-1, 3)
    assert len(np.unique(pixels, axis=0)) > 50


def test_figures_for_papers_are_pdf_and_png_with_letters_as_letters(
    study: Study, tmp_path: Path
) -> None:
    paths = write_paper_figures(study, tmp_path / "paper")
    names = {path.relative_to(tmp_path / "paper").as_posix() for path in paths}
    assert names == {
        f"figures/{name}.{form}"
        for name in ("front", "hypervolume", "methods")
        for form in ("pdf", "png")
    }
    for path in paths:
        if path.suffix == ".pdf":
            content = path.read_bytes()
            assert content.startswith(b"%PDF-")
            assert b"/FontFile2" in content, "TrueType, as publishers ask"
            assert b"/Type3" not in content
        else:
            with Image.open(path) as image:
                assert image.info["dpi"] == pytest.approx((300, 300), abs=1)


def test_a_picture_that_is_cut_off_leaves_the_earlier_one(study: Study) -> None:
    before = write_front(study).read_bytes()
    no_room_for(study.directory.path / "front.png")
    with pytest.raises(OSError, match="No space left"):
        write_front(study)
    assert (study.directory.path / "front.png").read_bytes() == before
    assert [path.name for path in study.directory.path.glob("*front.*")] == ["front.png"]


def test_a_study_without_a_complete_trial_has_no_figures(study: Study, tmp_path: Path) -> None:
    study.directory.trials.path.unlink()
    assert write_paper_figures(study, tmp_path) == []
    assert write_front(study).exists()
