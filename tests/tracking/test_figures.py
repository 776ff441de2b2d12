"""The figures hold the numbers of the tables."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kdsearch.results.record import TrialRecord
from kdsearch.results.study import Study
from kdsearch.tracking.figures import interactive_front, static_front, write_figures
from tests.full_disk import no_room_for


def test_the_interactive_figure_holds_trials_front_and_finalists(study: Study) -> None:
    figure = interactive_front(study)
    traces = {trace.name: trace for trace in figure.data}
    assert set(traces) == {
        "kd",
        "none",
        "front (validation)",
        "undistilled baseline (test)",
        "finalist (test)",
    }
    assert sorted(traces["kd"].x) == [100, 1_000, 9_000, 12_000]
    assert list(traces["none"].y) == [0.70]
    assert list(traces["front (validation)"].x) == [100, 1_000, 9_000]
    front = study.front
    assert list(traces["finalist (test)"].y) == pytest.approx(front["test_accuracy"].tolist())
    assert list(traces["finalist (test)"].error_y.array) == pytest.approx(
        front["test_accuracy_ci"].tolist()
    )
    low, high = figure.layout.yaxis.range
    for name in ("finalist (test)", "undistilled baseline (test)"):
        assert all(low < value < high for value in traces[name].y)
        ends = traces[name].y - np.array(traces[name].error_y.array)
        assert np.all(low <= np.maximum(ends, 0))


def test_a_point_tells_its_scores_where_it_has_them(
    study: Study, records: list[TrialRecord]
) -> None:
    traces = {trace.name: trace for trace in interactive_front(study).data}
    told = (
        "validation: NLL 0.500 nats, ECE 3.00%, agreement with the teacher 63.00%, "
        "KL to the teacher 0.500 nats"
    )
    assert all(told in text for text in traces["kd"].text)
    row = study.front.iloc[0]
    told = traces["finalist (test)"].text[0]
    assert f"ECE {row['test_ece']:.2%}, agreement with the teacher {row['test_agreement']:.2%}" in (
        told
    )
    bare = {"epoch": 1.0, "accuracy": 0.99, "seconds": 1.0}
    study.directory.trials.append(
        records[3].model_copy(update={"number": 6, "macs": 1, "epochs": (bare,)})
    )
    (text,) = [
        text
        for text in {t.name: t for t in interactive_front(study).data}["kd"].text
        if "trial 6" in text
    ]
    assert "validation:" not in text


def test_the_static_figure_is_an_image_with_something_on_it(study: Study, tmp_path: Path) -> None:
    path = tmp_path / "front.png"
    static_front(study, path)
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB")).reshape(-1, 3)
    assert len(pixels) > 500_000
    assert len(np.unique(pixels, axis=0)) > 50


@pytest.mark.parametrize("figure", ["front.html", "front.png"])
def test_a_figure_that_is_cut_off_leaves_the_earlier_one(study: Study, figure: str) -> None:
    folder = study.directory.path
    write_figures(study)
    before = {path.name: path.read_bytes() for path in folder.glob("front.*")}
    assert set(before) == {"front.html", "front.png"}
    no_room_for(folder / figure)
    with pytest.raises(OSError, match="No space left"):
        write_figures(study)
    after = {path.name: path.read_bytes() for path in folder.glob("*front.*")}
    assert after[figure] == before[figure]
    assert set(after) == set(before)
