"""The runs of a study's teachers."""

from __future__ import annotations

import time

from mlflow.entities import RunTag
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID, MLFLOW_RUN_NAME

from kdsearch.results.study import Study
from kdsearch.tracking.lookup import EPOCHS, KIND, STUDY, search_runs
from kdsearch.tracking.runs import Batches, metrics, params
from kdsearch.tracking.store import Store
from kdsearch.training.teacher_store import StoredTeacher


class TeacherRuns:
    """A run for each teacher below the study's, with the history of its training where known.

    Args:
        store: The store.
        study: The study.
        parent: Id of the study's run.
    """

    def __init__(self, store: Store, study: Study, parent: str) -> None:
        self._store, self._study, self._parent = store, study, parent
        found = search_runs(store, study, f"tags.{KIND} = 'teacher'")
        self._known = {run.data.tags["teacher"]: run for run in found}

    def write(self, teacher: StoredTeacher, trained: bool) -> None:
        """Bring a teacher's run to what is known of it."""
        client, run = self._store.client, self._known.get(teacher.name)
        if run is not None and run.data.tags.get("key") == teacher.key:
            return
        sizes = self._study.state["teachers"].get(teacher.name, {}).get("size", {})
        history = teacher.facts.get("history", [])
        started = time.time() - sum(epoch["seconds"] for epoch in history)
        if run is None:
            run = client.create_run(
                self._store.experiment_id, int(1000 * started), tags=self._tags(teacher, sizes)
            )
            self._known[teacher.name] = run
        run_id = run.info.run_id
        known = int(client.get_run(run_id).data.tags.get(EPOCHS, 0))
        passed = sum(epoch["seconds"] for epoch in history[:known])
        batches = Batches("validation", started=started)
        for _ in batches.write(self._store, run_id, history[known:], passed):
            pass
        model = teacher.model
        facts = {"family": model.family, "width": model.width, "depth": model.depth}
        client.log_batch(
            run_id,
            params=params(facts),
            metrics=metrics({f"size/{name}": size for name, size in sizes.items()}),
            # last, so that they tell that all is in
            tags=[RunTag("key", teacher.key), RunTag("trained", str(trained).lower())],
        )
        client.set_terminated(run_id, "FINISHED")
        self._known[teacher.name] = client.get_run(run_id)

    def _tags(self, teacher: StoredTeacher, sizes: dict[str, float]) -> dict[str, str]:
        parameters = sizes.get("parameters")
        told = teacher.model.family if parameters is None else f"{parameters:,} parameters"
        tasks = {"tasks": ", ".join(teacher.tasks)} if teacher.tasks else {}
        return {
            MLFLOW_PARENT_RUN_ID: self._parent,
            MLFLOW_RUN_NAME: f"{teacher.name} {told}",
            KIND: "teacher",
            STUDY: self._study.directory.inputs().id,
            "teacher": teacher.name,
            **tasks,
        }
