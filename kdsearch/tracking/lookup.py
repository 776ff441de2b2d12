"""MLflow runs of a study that are there already, found by their tags."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mlflow.entities import Run

from kdsearch.results.record import TrialRecord
from kdsearch.results.study import Study
from kdsearch.tracking.store import Store

STUDY = "study"
"""Tag that holds a study's id."""

KIND = "kind"
"""Tag that says what a run is: study, teacher, trial, finalist, baseline or sweep."""

EPOCHS = "epochs"
"""Tag that says how many epochs were written."""

KEY_DIGITS = 16
"""Digits of a task's key that a run has."""

Key = tuple[str, int, str]
"""Phase and number of a training, and key of its task: an extended study may give the number of a
training that was cut off to another."""


def key_of(record: TrialRecord) -> Key:
    """By what a training's run is found again."""
    return record.phase, record.number, record.task.key[:KEY_DIGITS]


def find_parent(store: Store, study: Study) -> Run | None:
    """The run of a study, whichever process made it; ``None`` if there is none or it was deleted.

    Of several, which an answer that was lost on its way leaves behind, it is the first made.
    """
    found = store.client.search_runs(
        [store.experiment_id],
        f"tags.{STUDY} = '{study.directory.inputs().id}' and tags.{KIND} = 'study'",
        max_results=1,
        order_by=["attributes.start_time ASC"],
    )
    return found[0] if found else None


@dataclass
class Nested:
    """What the store knows of a training.

    Attributes:
        run: Id of its run.
        described: Whether its parameters and sizes were written.
        epochs: Epochs that were written.
        status: MLflow's word for its state.
    """

    run: str
    described: bool = False
    epochs: int = 0
    status: str = "RUNNING"

    @property
    def ended(self) -> bool:
        """Whether its end was written too."""
        return self.status in ("FINISHED", "FAILED")


def last_step(store: Store, run: str, metric: str) -> int:
    """The last step at which a metric was written; 0 if it never was."""
    history = store.client.get_metric_history(run, metric)
    return max((point.step for point in history), default=0)


def find_nested(store: Store, study: Study) -> dict[Key, Nested]:
    """The runs of a study's trainings; of two of one training, the one that has more is kept."""
    found: dict[Key, Nested] = {}
    for run in search_runs(store, study, f"tags.{KIND} != 'study' and tags.{KIND} != 'teacher'"):
        tags = run.data.tags
        key = tags["phase"], int(tags["number"]), tags["task"]
        epochs = int(tags.get(EPOCHS, 0))
        nested = Nested(run.info.run_id, bool(run.data.params), epochs, run.info.status)
        other = found.get(key)
        if other is not None:
            # the answer to the call that made the first of them was lost on its way
            less, nested = sorted((other, nested), key=lambda each: (each.ended, each.epochs))
            store.client.delete_run(less.run)
        found[key] = nested
    return found


def search_runs(store: Store, study: Study, condition: str) -> Iterator[Run]:
    """The runs of a study that meet a condition in MLflow's language."""
    token = None
    while True:
        page = store.client.search_runs(
            [store.experiment_id],
            f"tags.{STUDY} = '{study.directory.inputs().id}' and {condition}",
            page_token=token,
        )
        yield from page
        token = page.token
        if not token:
            return
