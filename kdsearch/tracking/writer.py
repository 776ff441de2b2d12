"""Brings the MLflow runs of a study to what is known of it, by steps that may be repeated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mlflow.entities import Run
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID

from kdsearch.redaction import redacted_uri
from kdsearch.results.front import hypervolume
from kdsearch.results.record import TrialRecord
from kdsearch.results.study import Study
from kdsearch.tracking.described import described
from kdsearch.tracking.lineage import Lineage
from kdsearch.tracking.lookup import Key, Nested, find_nested, find_parent, key_of, last_step
from kdsearch.tracking.page.note import NOTE, Places, stopped_note
from kdsearch.tracking.report import write_report
from kdsearch.tracking.runs import (
    BATCH,
    Batches,
    create_nested,
    create_parent,
    describe_parent,
    end_nested,
    metrics,
)
from kdsearch.tracking.store import Store
from kdsearch.tracking.teachers import TeacherRuns
from kdsearch.training.teacher_store import StoredTeacher


class Writer:
    """The runs of one study: its own, and one for each training below it.

    A trial's run is below the study's; those of the trainings that judge a trial, which are its
    own with other seeds, and its baseline's, are below the trial's.

    Each method raises what the store raises, and then does only the rest when it is called again.

    Args:
        store: The reachable store.
        study: The study.

    Attributes:
        parent: Id of the study's run, once :meth:`begin` has made or found it.
    """

    parent: str

    def __init__(self, store: Store, study: Study) -> None:
        self._store = store
        self._study = study
        self._lineage = Lineage(study)
        self._nested: dict[Key, Nested] = {}
        self._volumes = 0

    def begin(self) -> None:
        """Make the study's run, or go on with the one that an earlier process made here."""
        run = find_parent(self._store, self._study)
        self._nested = find_nested(self._store, self._study)
        if run is None:
            self.parent = create_parent(self._store, self._study)
            self._adopt()
        else:
            self.parent = run.info.run_id
            self._take_up(run)
        self._teachers = TeacherRuns(self._store, self._study, self.parent)
        place = {
            "uri": redacted_uri(self._store.uri),
            "experiment_id": self._store.experiment_id,
            "run_id": self.parent,
        }
        if self._study.state.get("mlflow") != place:
            self._study.directory.update(mlflow=place)
        if run is None or not run.data.params:
            describe_parent(self._store, self.parent, self._study)

    def _adopt(self) -> None:
        """Show the runs of trials below the study's own, if that was deleted and they were not."""
        for (phase, *_), nested in self._nested.items():
            if phase == "search":
                self._store.client.set_tag(nested.run, MLFLOW_PARENT_RUN_ID, self.parent)

    def _take_up(self, run: Run) -> None:
        """Learn what the store has of a study that was cut off."""
        client = self._store.client
        client.update_run(self.parent, status="RUNNING")
        if "reason" in run.data.tags:
            client.delete_tag(self.parent, "reason")
        self._volumes = last_step(self._store, self.parent, "hypervolume")

    def write_teacher(self, teacher: StoredTeacher, trained: bool) -> None:
        """Write a teacher's key and the history of its training, where known."""
        self._teachers.write(teacher, trained)

    def write_trial(self, record: TrialRecord) -> None:
        """Bring a training's run to its record."""
        nested = self._nested.get(key_of(record)) or self._make(record)
        again = nested.status == "FAILED" and record.status != "failed"
        if nested.ended and not again:
            return
        if again:
            self._store.client.delete_tag(nested.run, "reason")
        if nested.status != "RUNNING":
            self._store.client.update_run(nested.run, status="RUNNING")
            nested.status = "RUNNING"
        known, rest = record.epochs[: nested.epochs], record.epochs[nested.epochs :]
        batches = Batches(
            "search" if record.phase == "search" else "validation",
            None if nested.described else described(record, self._study.spec, self._lineage),
            record.started,
        )
        passed = sum(epoch["seconds"] for epoch in known)
        for epoch in batches.write(self._store, nested.run, rest, passed):
            nested.epochs, nested.described = max(nested.epochs, epoch), True
        if record.ended:
            nested.status = end_nested(self._store, nested.run, record)

    def _make(self, record: TrialRecord) -> Nested:
        """The new run of a training, below that of the study or of the trial that it judges."""
        parent, trial = self.parent, self._lineage.trial(record)
        if trial is not None:
            if key_of(trial) not in self._nested:
                self.write_trial(trial)
            parent = self._nested[key_of(trial)].run
        made = Nested(create_nested(self._store, parent, self._study, record, self._lineage))
        self._nested[key_of(record)] = made
        return made

    def write_hypervolume(self, complete: Sequence[TrialRecord]) -> None:
        """Write the hypervolume after each complete trial, in the order in which they ended."""
        objectives = self._study.objectives
        while self._volumes < len(complete):
            largest = self._study.largest
            last = min(len(complete), self._volumes + BATCH)
            found = [
                metric
                for count in range(self._volumes + 1, last + 1)
                for metric in metrics(
                    {"hypervolume": hypervolume(complete[:count], objectives, largest)},
                    count,
                    complete[count - 1].finished,
                )
            ]
            self._store.client.log_batch(self.parent, metrics=found)
            self._volumes = last

    def finish(self) -> None:
        """Write the report and close the study's run."""
        self._kill_open()
        records = self._study.records()
        trials = {record.number: self._nested[key_of(record)].run for record in records}
        write_report(self._store, self._study, self._places(trials))
        self._store.client.set_terminated(self.parent, "FINISHED")

    def stop(self, status: str, reason: str) -> None:
        """Close the runs of a study that ends early; ``status`` is ``KILLED`` or ``FAILED``."""
        self._store.client.set_tag(self.parent, "reason", reason)
        note = stopped_note(self._study, reason, self._places({}))
        self._store.client.set_tag(self.parent, NOTE, note)
        self._kill_open()
        self._store.client.set_terminated(self.parent, status)

    def _places(self, trials: Mapping[int, str]) -> Places:
        return Places(self._store.experiment_id, self.parent, trials)

    def _kill_open(self) -> None:
        """Close the runs of trainings that nobody goes on with, and remove what is there twice."""
        self._nested = find_nested(self._store, self._study)
        for nested in self._nested.values():
            if nested.status == "RUNNING":
                self._store.client.set_terminated(nested.run, "KILLED")
                nested.status = "KILLED"
