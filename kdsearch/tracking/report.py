"""The report of a finished study in MLflow: front members tagged, tables, figures, students."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from kdsearch.errors import RunError
from kdsearch.files import checksum
from kdsearch.results.study import Study
from kdsearch.tracking.lookup import search_nested
from kdsearch.tracking.runs import metrics
from kdsearch.tracking.store import Store

FILES = (
    "front.csv",
    "front.json",
    "front.png",
    "ranking.csv",
    "ranking.json",
    "report.html",
    "trials.csv",
)


def write_report(store: Store, study: Study, parent: str, trials: Mapping[int, str]) -> None:
    """Write the report into the study's run and the runs of its front.

    Args:
        store: The reachable store.
        study: The finished study.
        parent: Id of the study's run.
        trials: Id of each search trial's run, by trial number.
    """
    client, front = store.client, study.front
    finalists = {int(row["trial"]): row for row in front.to_dict("records")}
    _mark(store, parent, "front", {trials[member.number] for member in study.members()})
    _mark(store, parent, "finalist", {trials[number] for number in finalists})
    for number, row in finalists.items():
        known = client.get_run(trials[number]).data.metrics
        told = metrics({name: row[name] for name in _told_columns(study)})
        new = [metric for metric in told if known.get(metric.key) != metric.value]
        client.log_batch(trials[number], metrics=new)
        student = study.directory.student(number)
        if student.exists():
            _check_student(student)
            client.log_artifacts(trials[number], str(student), "student")
    for name in FILES:
        client.log_artifact(parent, str(study.directory.path / name))


def _told_columns(study: Study) -> list[str]:
    """Columns of the front's table that its members' runs take as metrics."""
    tested = [f"test_{name}" for name in study.metrics]
    baseline = f"baseline_{study.objectives.score}"
    return [*tested, *(f"{name}_ci" for name in tested), baseline, "gain", "gain_ci"]


def _check_student(folder: Path) -> None:
    """Refuse a student whose weights are not those that its description was written for."""
    told = json.loads((folder / "student.json").read_text())
    if checksum(folder / "student.safetensors") != told["sha256"]:
        raise RunError(
            f"the weights in {folder} are damaged: their checksum is not that of student.json; "
            "run the study with --resume, which writes them again"
        )


def _mark(store: Store, parent: str, tag: str, runs: set[str]) -> None:
    """Give the tag to these runs alone: a study that was extended may have another front."""
    found = search_nested(store, parent, f"tags.{tag} = 'true'")
    marked = {run.info.run_id for run in found}
    for run in marked - runs:
        store.client.delete_tag(run, tag)
    for run in runs - marked:
        store.client.set_tag(run, tag, "true")
