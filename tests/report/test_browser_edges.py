"""The page of studies that are small, large, or of odd numbers, in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kdsearch.report.content import content
from kdsearch.report.page import page as page_of
from kdsearch.report.page import write_page
from kdsearch.results.study import Study

from .browser import OVERLAPS, chromium, opened
from .made import CLASSES, make_study


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def classes(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return make_study(tmp_path_factory.mktemp("classes"), CLASSES)


@pytest.fixture
def shown(classes: Study) -> dict[str, Any]:
    """What the page of the study shows, to be changed."""
    return content(classes)


def written(shown: dict[str, Any], folder: Path) -> Path:
    file = folder / "page.html"
    file.write_text(page_of(shown))
    return file


def layout(page: Any, figure: str) -> Any:
    """The axes of a figure: their kind, range and ticks, as it is drawn."""
    return page.evaluate(
        """id => Object.fromEntries(['xaxis', 'yaxis'].map(name => {
          const { type, range, ticktext } = document.getElementById(id)._fullLayout[name];
          return [name, { type, range, ticktext }];
        }))""",
        figure,
    )


def test_a_study_of_one_trial_has_ticks_and_a_mark_of_its_hypervolume(
    browser: Any, tmp_path: Path
) -> None:
    text = CLASSES.replace("trials: 60", "trials: 1").replace("halving", "none")
    with opened(browser, write_page(make_study(tmp_path, text))) as page:
        assert len(layout(page, "front-figure")["xaxis"]["ticktext"]) >= 3
        assert page.locator("#progress-figure .points path").count() == 1
        assert page.inner_text("#parallel-figure") == "Fewer than two complete trials."
        assert not page.is_visible("#response-note"), "it tells of a figure that is not there"
        assert page.evaluate(OVERLAPS) == []


def test_where_no_trial_has_ended_well_no_note_tells_of_figures(
    browser: Any, shown: dict[str, Any], tmp_path: Path
) -> None:
    shown |= {"finalists": [], "pick": None, "progress": [], "ranking": []}
    for row in shown["trials"]:
        row |= {"status": "failed", "scores": {}, "front": False, "counts": False}
    with opened(browser, written(shown, tmp_path)) as page:
        assert page.inner_text("#front-note") == ""
        for note in ("progress-note", "response-note"):
            assert not page.is_visible(f"#{note}")


def test_trials_that_are_all_alike_have_no_parallel_coordinates(
    browser: Any, shown: dict[str, Any], tmp_path: Path
) -> None:
    one = next(row for row in shown["trials"] if row["status"] == "complete")
    twins = [one | {"trial": number} for number in (0, 1)]
    shown |= {"trials": twins, "finalists": [], "pick": None}
    with opened(browser, written(shown, tmp_path)) as page:
        assert page.inner_text("#parallel-figure") == "All complete trials are alike."


def test_values_of_few_trials_have_no_axis_where_there_are_many(
    browser: Any, shown: dict[str, Any], tmp_path: Path
) -> None:
    complete = [row for row in shown["trials"] if row["status"] == "complete"]
    names = [f"low_rank+quantize.low_rank.rank{number}" for number in range(20)]
    for place, row in enumerate(complete):
        row["values"] |= {name: place / 7 for at, name in enumerate(names) if place < 2 + at}
    with opened(browser, written(shown, tmp_path)) as page:
        assert [found for found in page.evaluate(OVERLAPS) if "parallel" in found] == []
        texts = page.evaluate(
            "document.getElementById('parallel-figure').layout.annotations.map(each => each.text)"
        )
        titles = {text.replace("<br>", "") for text in texts}
        drawn = [name for name in names if name in titles]
        left = page.inner_text("#parallel-note")
    assert 0 < len(drawn) < len(names)
    assert drawn[-1] == names[-1], "which most trials have"
    assert all(
        (name in left.removesuffix(".").split(": ")[1].split(", ")) != (name in drawn)
        for name in names
    )


def test_curves_of_a_thousand_epochs_are_drawn(
    browser: Any, shown: dict[str, Any], tmp_path: Path
) -> None:
    curves = shown["curves"]["trials"]
    like = max(curves.values(), key=lambda curve: len(curve["loss"]))
    long = {name: (values * 1000)[:1000] for name, values in like.items() if name != "paused"}
    one = next(row for row in shown["trials"] if row["status"] == "complete")
    rows = [one | {"trial": number, "epochs": 1000} for number in range(150)]
    shown["trials"] = rows
    shown["curves"]["trials"] = {str(row["trial"]): {"paused": [], **long} for row in rows}
    shown |= {"finalists": [], "pick": None}
    with opened(browser, written(shown, tmp_path)) as page:
        assert layout(page, "curves-figure")["xaxis"]["range"] == [0.5, 1000.5]


def test_few_epochs_have_whole_ticks(browser: Any, shown: dict[str, Any], tmp_path: Path) -> None:
    for row in shown["trials"]:
        curve = shown["curves"]["trials"].get(str(row["trial"]))
        if curve:
            row["epochs"] = min(row["epochs"], 2)
            curve |= {name: values[:2] for name, values in curve.items()}
    with opened(browser, written(shown, tmp_path)) as page:
        page.wait_for_selector("#curves-figure .xtick text")
        told = page.locator("#curves-figure .xtick text").all_text_contents()
        assert told == ["1", "2"]


def test_a_trial_whose_size_is_not_known_is_told_without_it(
    browser: Any, shown: dict[str, Any], tmp_path: Path
) -> None:
    stopped = [row for row in shown["trials"] if row["status"] == "stopped"]
    for row in stopped:
        del row["sizes"]["bytes"]
    with opened(browser, written(shown, tmp_path)) as page:
        page.select_option("#size", "bytes")
        told = page.evaluate(
            "document.getElementById('curves-figure').data.flatMap(each => each.text ?? [])"
        )
        page.evaluate("choose(new Set(DATA.trials.map(row => row.trial)))")
        table = page.inner_text("#chosen")
    assert any(text.startswith(f"<b>trial {stopped[0]['trial']}:") for text in told)
    assert not [text for text in [*told, table] if "NaN" in text or "undefined" in text]
    assert table.splitlines()[-1].split("\t")[3].strip() == "", "these come last"


def test_the_logarithmic_scale_is_offered_only_where_there_is_one(
    browser: Any, shown: dict[str, Any], tmp_path: Path
) -> None:
    shown["metrics"]["nll"] |= {"lowest": None}
    for row in shown["trials"]:
        if "nll" in row["scores"]:
            row["scores"]["nll"] -= 10
    with opened(browser, written(shown, tmp_path)) as page:
        option = page.locator("#scale option[value=error]")
        assert option.is_enabled()
        page.select_option("#metric", "nll")
        assert not option.is_enabled()
        assert layout(page, "front-figure")["yaxis"]["type"] == "linear"
        page.select_option("#metric", "accuracy")
        assert option.is_enabled()
