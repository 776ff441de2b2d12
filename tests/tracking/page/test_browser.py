"""A study's page in MLflow's own UI, in a real browser: what a reviewer sees at first sight."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from kdsearch.results.front_file import front_content
from kdsearch.results.pick import pick
from kdsearch.results.record import TrialRecord
from kdsearch.results.study import Study
from kdsearch.tracking.page.note import NOTE
from kdsearch.tracking.recorder import Recorder
from kdsearch.tracking.store import Store
from tests.report.browser import chromium
from tests.servers import free_ports
from tests.tracking.page.test_models import networks  # noqa: F401 - a fixture
from tests.tracking.playing import finish, nested, play

pytestmark = pytest.mark.slow

PATIENCE = 60_000
"""Milliseconds for what MLflow's page loads."""


@pytest.fixture
def address(
    study: Study,
    store: Store,
    records: list[TrialRecord],
    networks: dict[int, Any],  # noqa: F811
) -> Iterator[str]:
    """The address that ``kdsearch ui`` prints of the finished study."""
    recorder = Recorder(store)
    recorder.study_started(study)
    play(recorder, records)
    finish(recorder, study)
    assert recorder.failure is None
    words = [sys.executable, "-m", "kdsearch.cli", "ui", str(study.directory.path)]
    with subprocess.Popen(
        [*words, "--port", str(free_ports(1)[0])], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.terminate()


@pytest.fixture
def page(address: str) -> Iterator[Any]:
    with chromium() as browser:
        made = browser.new_page(viewport={"width": 1600, "height": 1100})
        made.set_default_timeout(PATIENCE)
        yield made


def names(page: Any) -> list[str]:
    """The runs of the table that is open, from above."""
    cells = page.locator('[col-id="attributes.`Run Name`"] a, a[href*="/runs/"]')
    cells.first.wait_for()
    found = [each for each in cells.all_inner_texts() if each.endswith(" parameters")]
    return list(dict.fromkeys(found))


def test_the_page_answers_and_its_links_open_the_front_and_the_charts(
    page: Any, address: str, study: Study, store: Store
) -> None:
    content, runs = front_content(study), nested(store.client, study)
    row = pick(content).row
    page.goto(address)
    verdict = page.get_by_text(f"{row['parameters']:,} parameters,").first
    verdict.wait_for()
    assert verdict.is_visible()
    page.get_by_text("Model training").first.wait_for()
    if (more := page.get_by_text("Show more")).count():
        more.first.click()
    figure = page.locator('img[src*="front_small.png"]')
    figure.scroll_into_view_if_needed()
    width, shown, room = figure.evaluate(
        "each => [each.naturalWidth, each.getBoundingClientRect().right,"
        " document.documentElement.clientWidth]"
    )
    assert width > 400, "the figure is not served"
    assert shown <= room
    link = page.locator(f'a[href$="/runs/{runs[row["trial"]].info.run_id}"]').first
    assert link.inner_text() == f"trial {row['trial']}"
    page.get_by_text("digits (").first.wait_for()  # the data set
    page.get_by_text(f"{study.spec.study.name}").first.wait_for()

    note = store.client.get_run(study.state["mlflow"]["run_id"]).data.tags[NOTE]
    views = dict(re.findall(r"\[([^\]]+)\]\((#[^)]*viewStateShareKey[^)]*)\)", note))
    server = address.partition("#")[0]
    page.goto("about:blank")
    page.goto(server + views["the front"])
    page.get_by_text("test/accuracy").first.wait_for()
    ordered = sorted(content["front"], key=lambda each: each["parameters"])
    assert names(page) == [runs[each["trial"]].info.run_name for each in ordered]
    assert page.get_by_text(f"{len(ordered)} matching runs").count()
    page.goto("about:blank")
    page.goto(server + views["trials as charts"])
    for drawn in ("Parallel Coordinates", "size/log10_parameters"):
        page.get_by_text(drawn).first.wait_for()
    page.locator(".js-plotly-plot .scatterlayer .points path").first.wait_for()


def test_the_models_and_the_registry_show_the_finalists(
    page: Any, address: str, study: Study, store: Store
) -> None:
    server, name = address.partition("#")[0], study.spec.study.name
    experiment = store.experiment_id
    page.goto(f"{server}#/experiments/{experiment}/models?workflowType=machine_learning")
    for row in front_content(study)["front"]:
        page.get_by_text(f"{row['method']} {row['parameters']:,} parameters").first.wait_for()
    page.goto(f"{server}#/models/{quote(name)}")
    for alias in store.client.get_registered_model(name).aliases:
        page.get_by_text(alias).first.wait_for()


def test_the_state_of_a_view_is_what_this_mlflow_keeps_itself(
    page: Any, address: str, store: Store
) -> None:
    """Its names are not promised: those that a view sets must be among those of the UI."""
    from kdsearch.tracking.page.views import VIEW, _table

    server = address.partition("#")[0]
    page.goto(f"{server}#/experiments/{store.experiment_id}/runs?workflowType=machine_learning")
    page.get_by_text("Columns").first.wait_for()
    page.get_by_text("tiny").first.wait_for()
    page.wait_for_function(
        "Object.keys(localStorage).some(each => each.includes('ReactComponentState'))"
    )
    (kept,) = page.evaluate(
        "Object.entries(localStorage).filter(each => each[0].includes('ExperimentPage-'))"
        ".map(each => each[1])"
    )
    own = set(json.loads(kept))
    assert set(_table("", "size/parameters", True, [], [])) <= own
    assert any(
        key.startswith(VIEW) for key in store.client.get_experiment(store.experiment_id).tags
    )
