"""The report of a finished study in MLflow: front members tagged, tables, figures, students."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from kdsearch.errors import RunError
from kdsearch.files import checksum
from kdsearch.results.front_file import front_content
from kdsearch.results.study import Study
from kdsearch.spec.domains import SOURCE
from kdsearch.tracking.lookup import search_runs
from kdsearch.tracking.page.models import log_models
from kdsearch.tracking.page.note import NOTE, Places, final_note
from kdsearch.tracking.page.registry import register_models
from kdsearch.tracking.page.views import write_views
from kdsearch.tracking.runs import metrics
from kdsearch.tracking.store import Store

FRONT = "front"
"""Tag of the trials that ``kdsearch front`` shows."""

FILES = (
    "front.csv",
    "front.json",
    "front.png",
    "front_small.png",
    "ranking.csv",
    "ranking.json",
    "report.html",
    "trials.csv",
)


def write_report(store: Store, study: Study, places: Places) -> None:
    """Write the report into the study's run and the runs of its front.

    Args:
        store: The reachable store.
        study: The finished study.
        places: Where its runs are.
    """
    client, trials, content = store.client, places.trials, front_content(study)
    rows = content["front"]
    _mark(store, study, {trials[row["trial"]] for row in rows})
    for row in rows:
        run = trials[row["trial"]]
        known = client.get_run(run).data.metrics
        told = metrics(_scores(study, row))
        new = [metric for metric in told if known.get(metric.key) != metric.value]
        client.log_batch(run, metrics=new)
        student = study.directory.student(row["trial"])
        if student.exists():
            _check_student(student)
            client.log_artifacts(run, str(student), "student")
    for name in FILES:
        client.log_artifact(places.parent, str(study.directory.path / name))
    shown = replace(places, views=write_views(store, study))
    client.set_tag(places.parent, NOTE, final_note(study, shown))
    models = log_models(store, study, content, places)
    register_models(store, study, content, models, places)


def _scores(study: Study, row: Mapping[str, Any]) -> dict[str, float | None]:
    """What the run of a trial on the front is told of the test: means over seeds, intervals."""
    found: dict[str, float | None] = {}
    for name in study.metrics:
        found |= {f"test/{name}": row[f"test_{name}"], f"test/{name}_ci": row[f"test_{name}_ci"]}
    score = study.objectives.score
    found[f"test/baseline_{score}"] = row[f"baseline_{score}"]
    if study.spec.target is not None:
        for name in (f"test_{SOURCE}{score}", f"test_{SOURCE}{score}_ci"):
            found[name.replace("test_", "test/", 1)] = row[name]
        found[f"test/baseline_{SOURCE}{score}"] = row[f"baseline_{SOURCE}{score}"]
    return found | {f"test/{name}": row[name] for name in ("gain", "gain_ci", "retained")}


def _check_student(folder: Path) -> None:
    """Refuse a student whose weights are not those that its description was written for."""
    told = json.loads((folder / "student.json").read_text())
    if checksum(folder / "student.safetensors") != told["sha256"]:
        raise RunError(
            f"the weights in {folder} are damaged: their checksum is not that of student.json; "
            "run the study with --resume, which writes them again"
        )


def _mark(store: Store, study: Study, runs: set[str]) -> None:
    """Tag these runs alone as the front: a study that was extended may have another front."""
    marked = {run.info.run_id for run in search_runs(store, study, f"tags.{FRONT} = 'true'")}
    for run in marked - runs:
        store.client.delete_tag(run, FRONT)
    for run in runs - marked:
        store.client.set_tag(run, FRONT, "true")
