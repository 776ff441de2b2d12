"""The page in a real browser: offline, linked, no text cut, on a screen and printed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kdsearch.report.content import content
from kdsearch.report.page import page as page_of
from kdsearch.report.page import write_page
from kdsearch.results.study import Study

from .browser import CUT, OVERLAPS, chromium, opened
from .made import CLASSES, TASKS, make_study


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def classes(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return make_study(tmp_path_factory.mktemp("classes"), CLASSES)


@pytest.fixture(scope="module")
def tasks(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return make_study(tmp_path_factory.mktemp("tasks"), TASKS)


@pytest.fixture(scope="module")
def files(classes: Study, tasks: Study) -> dict[str, Path]:
    return {"classes": write_page(classes), "tasks": write_page(tasks)}


def rows(page: Any, table: str) -> list[list[str]]:
    """The cells of a table's body."""
    return page.eval_on_selector_all(
        f"#{table} tbody tr",
        "rows => rows.map(row => [...row.cells].map(cell => cell.textContent))",
    )


_NAMES = ("none", "quantize", "prune", "sparse", "prune+quantize", "prune+sparse")
WAYS = CLASSES.replace(
    "methods:", f"ways: {{{{{', '.join(f'{name}: {{{{}}}}' for name in _NAMES)}}}}}\nmethods:"
).replace(
    "{{trials: 60, scheduler: {{name: halving, score: raw}}}}",
    "{{trials: 60, size: bytes, scheduler: {{score: raw}}}}",
)


def brush(page: Any, figure: str, box: tuple[float, float, float, float]) -> None:
    """Draw a box over a part of a figure: left, top, right, bottom, as shares of its plot."""
    page.locator(f"#{figure}").evaluate("each => each.scrollIntoView({block: 'center'})")
    area = page.locator(f"#{figure} .nsewdrag").first.bounding_box()
    left, top, right, bottom = box
    page.mouse.move(area["x"] + left * area["width"], area["y"] + top * area["height"])
    page.mouse.down()
    for share in (0.3, 0.7, 1.0):
        page.wait_for_timeout(150)  # plotly looks at most every 100 ms which points are inside
        across = left + share * (right - left)
        down = top + share * (bottom - top)
        page.mouse.move(area["x"] + across * area["width"], area["y"] + down * area["height"])
    page.wait_for_timeout(150)
    page.mouse.up()
    page.wait_for_selector("#clear:enabled")


def test_the_head_and_the_tables_tell_the_study(
    browser: Any, files: dict[str, Path], classes: Study
) -> None:
    with opened(browser, files["classes"]) as page:
        assert page.title() == "made · kdsearch"
        assert page.inner_text("h1") == "made"
        assert page.inner_text("#verdict").startswith("Distillation helps at")
        front = classes.front
        told = rows(page, "finalists-table")
        assert [int(row[0].split()[0]) for row in told] == front["trial"].tolist()
        first = front.iloc[0]
        score = f"{100 * first['test_accuracy']:.2f} ± {100 * first['test_accuracy_ci']:.2f}"
        assert score in told[0]
        assert f"{100 * first['retained']:.1f}" in told[0]
        # without a selection, the table beside the front has the finalists too
        assert [int(row[0]) for row in rows(page, "chosen")] == front["trial"].tolist()
        assert not page.is_visible("#unfinished")


def test_a_brush_over_the_front_chooses_trials_in_every_figure(
    browser: Any, files: dict[str, Path], classes: Study
) -> None:
    with opened(browser, files["classes"]) as page:
        before = page.evaluate("document.getElementById('curves-figure').data.length")
        brush(page, "front-figure", (0.02, 0.02, 0.5, 0.98))
        chosen = {int(row[0]) for row in rows(page, "chosen")}
        complete = classes.trials[classes.trials["status"] == "complete"].set_index("trial")
        assert 1 < len(chosen) < len(complete)
        assert chosen <= set(complete.index)
        # what is left of the middle of the axis, which is logarithmic in size
        low, high = complete["parameters"].min() / 1.25, complete["parameters"].max() * 1.25
        middle = (low * high) ** 0.5
        assert complete.loc[sorted(chosen), "parameters"].max() <= middle
        drawn = page.evaluate(
            "document.getElementById('parallel-figure').data"
            ".filter(each => each.name !== 'not chosen').flatMap(each => each.customdata)"
        )
        assert {trial for trial in drawn if trial is not None} == chosen
        curves = page.evaluate(
            "document.getElementById('curves-figure').data.flatMap(each => each.customdata ?? [])"
        )
        assert {trial for trial in curves if trial is not None} == chosen
        assert (
            page.evaluate("document.getElementById('front-figure').layout.selections.length") == 1
        )
        page.click("#clear")
        assert len(rows(page, "chosen")) == len(classes.front)
        assert page.evaluate("document.getElementById('curves-figure').data.length") == before
        assert not page.evaluate("document.getElementById('front-figure').layout.selections.length")


def test_a_brush_over_an_axis_of_the_parallel_coordinates_chooses_in_the_front(
    browser: Any, files: dict[str, Path], classes: Study
) -> None:
    with opened(browser, files["classes"]) as page:
        count = page.evaluate("document.getElementById('parallel-figure').layout.shapes.length")
        at = (count - 1 + 0.1) / (count - 0.5)  # the last axis: the score; its better half
        brush(page, "parallel-figure", (at - 0.02, 0.02, at + 0.02, 0.5))
        chosen = {int(row[0]) for row in rows(page, "chosen")}
        complete = classes.trials[classes.trials["status"] == "complete"].set_index("trial")
        scores = complete["validation_accuracy"]
        assert chosen
        assert scores[sorted(chosen)].min() >= scores.drop(sorted(chosen)).max()
        marked = page.evaluate(
            "document.getElementById('front-figure').data.filter(each => each.selectedpoints)"
            ".flatMap(each => each.selectedpoints.map(place => each.customdata[place]))"
        )
        assert set(marked) == chosen


def test_a_row_of_the_finalists_chooses_its_trial(
    browser: Any, files: dict[str, Path], classes: Study
) -> None:
    with opened(browser, files["classes"]) as page:
        row = page.locator("#finalists-table tbody tr").last
        row.focus()
        page.keyboard.press("Enter")
        assert [int(cells[0]) for cells in rows(page, "chosen")] == [
            classes.front["trial"].iloc[-1]
        ]
        assert row.get_attribute("class") == "chosen"


def test_a_finalist_s_hover_tells_interval_gain_and_path(
    browser: Any, files: dict[str, Path], classes: Study
) -> None:
    finalist = classes.front[classes.front["gain"].notna()].iloc[0]
    classes.directory.student(int(finalist["trial"])).mkdir(parents=True, exist_ok=True)
    file = write_page(classes)
    with opened(browser, file) as page:
        page.evaluate(
            """trial => {
              const figure = document.getElementById('front-figure');
              const curve = figure.data.findIndex(each => each.name === 'finalist (test)');
              const place = figure.data[curve].customdata.indexOf(trial);
              figure.scrollIntoView();
              Plotly.Fx.hover(figure, [{curveNumber: curve, pointNumber: place}]);
            }""",
            int(finalist["trial"]),
        )
        told = page.text_content("#front-figure .hoverlayer")
        for name in ("test_accuracy", "gain"):
            assert f"{100 * finalist[name]:.2f} ± {100 * finalist[f'{name}_ci']:.2f}" in told
        assert f"students/trial-{finalist['trial']:04d}" in told
        assert "of the teacher's" in told
        # the dot of the same trial tells nothing of its own, so it cannot cover the finalist
        hidden = page.evaluate(
            """trial => document.getElementById('front-figure').data
              .filter(each => Array.isArray(each.hoverinfo))
              .map(each => each.hoverinfo[each.customdata.indexOf(trial)]).filter(Boolean)""",
            int(finalist["trial"]),
        )
        assert hidden == ["skip"]


def test_quantized_students_have_columns_of_their_own(
    browser: Any, classes: Study, tmp_path: Path
) -> None:
    shown = content(classes)
    first, second, *_ = shown["finalists"]
    first["int8"] = {
        "accuracy": 0.8123,
        "accuracy_ci": 0.01,
        "bytes": 1234,
        "loss": 0.0075,
        "loss_ci": 0.002,
        "loses_more": True,
        "front": True,
        "reason": None,
        "latency": 21.25,
    }
    second["int8"] = {"accuracy": None, "bytes": None, "reason": "no such operator"}
    file = tmp_path / "page.html"
    file.write_text(page_of(shown))
    with opened(browser, file, 1600) as page:
        heads = page.eval_on_selector_all(
            "#costs-table th", "heads => heads.map(each => each.textContent)"
        )
        told = dict(zip(heads, rows(page, "costs-table")[0], strict=True))
        assert told["int8 accuracy (%)"] == "81.23 ± 1.00"
        assert told["int8 bytes"] == "1,234"
        assert told["lost by int8 (points)"] == "0.75 ± 0.20 !"
        assert (told["int8 front"], told["int8 latency (µs)"]) == ("yes", "21.25")
        assert int(told["MACs"].replace(",", "")) == classes.front["macs"].iloc[0]
        note = page.inner_text("#finalists-note")
        assert f"Trial {second['trial']} has no int8: no such operator." in note


def test_score_size_and_scale_may_be_chosen(
    browser: Any, files: dict[str, Path], tasks: Study
) -> None:
    with opened(browser, files["tasks"]) as page:
        axis = "document.getElementById('front-figure').layout"
        assert page.evaluate(f"{axis}.xaxis.title.text") == "MACs of a sample"
        assert page.evaluate(f"{axis}.yaxis.title.text") == "ink MAE"
        page.select_option("#scale", "error")
        assert page.evaluate(f"{axis}.yaxis.type") == "log"
        low, high = page.evaluate(f"{axis}.yaxis.range")
        assert low > high, "small errors are at the top"
        page.select_option("#size", "parameters")
        assert page.evaluate(f"{axis}.xaxis.title.text") == "parameters"
        page.select_option("#metric", "digit/accuracy")
        assert page.evaluate(f"{axis}.yaxis.title.text") == "digit accuracy (%)"
        page.select_option("#scale", "score")
        assert page.evaluate(f"{axis}.yaxis.type") == "linear"
        low, high = page.evaluate(f"{axis}.yaxis.range")
        assert low < high
        teacher = page.evaluate(
            "document.getElementById('front-figure').data"
            ".find(each => each.name === 'teacher (test)').y[0]"
        )
        assert tasks.teacher is not None
        assert teacher == pytest.approx(100 * tasks.teacher.test["digit/accuracy"], rel=1e-4)


def test_pauses_and_stops_are_marked_on_the_curves(
    browser: Any, files: dict[str, Path], classes: Study
) -> None:
    with opened(browser, files["classes"]) as page:
        marks = page.evaluate(
            "Object.fromEntries(document.getElementById('curves-figure').data"
            ".filter(each => each.mode === 'markers').map(each => [each.name, each.x]))"
        )
    status = classes.trials["status"].value_counts()
    assert marks["stopped"] == [1] * status["stopped"]
    assert marks["failed"] == [2] * status["failed"]
    assert marks["paused"] == [1] * (status["complete"] + status["failed"])


@pytest.mark.parametrize("study", ["classes", "tasks"])
@pytest.mark.parametrize("width", [1280, 800])
def test_no_text_is_cut_or_lies_over_another(
    browser: Any, files: dict[str, Path], study: str, width: int
) -> None:
    with opened(browser, files[study], width) as page:
        assert page.evaluate(OVERLAPS) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        if width == 1280:
            assert page.evaluate(CUT) == []


@pytest.mark.parametrize("study", ["classes", "tasks"])
def test_it_fits_a_page_of_paper(
    browser: Any, files: dict[str, Path], study: str, tmp_path: Path
) -> None:
    with opened(browser, files[study]) as page:
        page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
        page.emulate_media(media="print")
        page.set_viewport_size({"width": 703, "height": 1000})  # A4 without its margins
        assert page.evaluate("document.documentElement.scrollWidth") <= 703
        assert page.evaluate(OVERLAPS) == []
        assert page.evaluate(CUT) == []
        assert not page.is_visible("#metric")
        page.evaluate("window.dispatchEvent(new Event('afterprint'))")
        page.emulate_media(media="screen")
        page.set_viewport_size({"width": 1280, "height": 900})
        pdf = page.pdf(prefer_css_page_size=True)
        assert pdf.startswith(b"%PDF")
        assert 1 < pdf.count(b"/Type /Page\n") < 12


def test_an_interrupted_study_says_so(browser: Any, classes: Study, tmp_path: Path) -> None:
    classes.directory.update(state="interrupted", reason="Ctrl-C")
    file = write_page(classes, tmp_path)
    classes.directory.update(state="finished", reason=None)
    with opened(browser, file) as page:
        assert page.inner_text("#unfinished").startswith("This study has not ended (interrupted")


def test_a_study_that_has_barely_begun_is_told(browser: Any, study: Study, tmp_path: Path) -> None:
    study.directory.trials.path.unlink()
    study.directory.finalists.path.unlink()
    with opened(browser, write_page(study, tmp_path)) as page:
        assert "no front" in page.inner_text("#front-figure")
        assert "No finalist" in page.inner_text("#finalists-note")
        assert rows(page, "chosen") == []


def test_ways_are_compared_by_size_where_there_are_some(
    browser: Any, files: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = make_study(tmp_path, WAYS)
    monkeypatch.setattr(Study, "ways_of_few", {"share": 2, "mine": 0})
    expected = study.way_ranking
    assert expected["at_most"].nunique() > 1
    with opened(browser, write_page(study)) as page:
        assert page.is_visible("#ways")
        told = rows(page, "ways-table")
        assert [row[1] for row in told] == expected["way"].tolist()
        assert [row[5] for row in told] == ["yes" if c else "" for c in expected["clear"]]
        for cells, (_, row) in zip(told, expected.iterrows(), strict=True):
            score = f"{100 * row['best_score']:.2f}" if row["fits"] else ""
            assert cells[2] == score
            assert cells[4] == f"{row['fits']} of {row['trials']}"
            assert cells[0] == (f"{row['at_most']:,.0f}" if row["first"] else "")
        assert page.inner_text("#ways-note").endswith(
            "Too few complete trials: share (2), mine (0)."
        )
        assert page.evaluate(CUT) == []
        heads = page.eval_on_selector_all("#chosen th", "all => all.map(each => each.textContent)")
        assert "way" in heads
    with opened(browser, files["classes"]) as page:
        assert not page.is_visible("#ways")
