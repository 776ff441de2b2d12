"""The static figures hold the numbers of the tables."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from kdsearch.report.drawing import draw_front, draw_methods, draw_progress
from kdsearch.report.figures import write_front, write_paper_figures
from kdsearch.report.progress import progress
from kdsearch.results.study import Study
from tests.full_disk import no_room_for


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
