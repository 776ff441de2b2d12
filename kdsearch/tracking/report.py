"""The report of a finished study in MLflow: front members tagged, table, figures, students."""

from __future__ import annotations

from collections.abc import Mapping

from kdsearch.search.study import Study
from kdsearch.tracking.runs import metrics
from kdsearch.tracking.store import Store

FILES = ("front.csv", "front.json", "trials.csv", "front.html", "front.png")
SCORES = ("test_accuracy", "test_accuracy_ci", "baseline_accuracy", "gain", "gain_ci")


def write_report(store: Store, study: Study, parent: str, trials: Mapping[int, str]) -> None:
    """Write the report into the study's run and the runs of its front.

    Args:
        store: The reachable store.
        study: The finished study.
        parent: Id of the study's run.
        trials: Id of each search trial's run, by trial number.
    """
    client, front = store.client, study.front
    for member in study.members():
        client.set_tag(trials[member.number], "front", "true")
    for row in front.to_dict("records"):
        run = trials[int(row["trial"])]
        client.set_tag(run, "finalist", "true")
        client.log_batch(run, metrics=metrics({name: row[name] for name in SCORES}))
        student = study.directory.student(int(row["trial"]))
        if student.exists():
            client.log_artifacts(run, str(student), "student")
    table = front.drop(columns=["weights", "hyperparameters"])
    client.log_table(parent, table, "front_table.json")
    for name in FILES:
        client.log_artifact(parent, str(study.directory.path / name))
