"""MLflow runs of a study that are there already, found by their tags."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mlflow.entities import Run
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID

from kdsearch.results.record import TrialRecord
from kdsearch.results.study import Study
from kdsearch.tracking.store import Store

STUDY = "study"
"""Tag that holds a study's id."""

Key = tuple[str, int, str]
"""Phase and number of a training, and key of its task: an extended study may give the number of a
training that was cut off to another."""


def key_of(record: TrialRecord) -> Key:
    """By what a training's run is found again."""
    return record.phase, record.number, record.task.key


def find_parent(store: Store, study: Study) -> Run | None:
    """The run of a study, whichever process made it; ``None`` if there is none or it was deleted.

    Of several, which an answer that was lost on its way leaves behind, it is the first made.
    """
    tag = f"tags.{STUDY} = '{study.directory.inputs().id}'"
    found = store.client.search_runs(
        [store.experiment_id], tag, max_results=1, order_by=["attributes.start_time ASC"]
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


def find_nested(store: Store, parent: str) -> dict[Key, Nested]:
    """The nested runs of a study; of two of one training, the one that has more is kept."""
    found: dict[Key, Nested] = {}
    for run in search_nested(store, parent, "tags.kind = 'trial'"):
        tags = run.data.tags
        key = tags["phase"], int(tags["number"]), tags["task"]
        epochs = int(run.data.metrics.get("epoch", 0))
        nested = Nested(run.info.run_id, bool(run.data.params), epochs, run.info.status)
        other = found.get(key)
        if other is not None:
            # the answer to the call that made the first of them was lost on its way
            less, nested = sorted((other, nested), key=lambda each: (each.ended, each.epochs))
            store.client.delete_run(less.run)
        found[key] = nested
    return found


def search_nested(store: Store, parent: str, condition: str) -> Iterator[Run]:
    """The nested runs of a study that meet a condition in MLflow's language."""
    token = None
    while True:
        page = store.client.search_runs(
            [store.experiment_id],
            f"tags.`{MLFLOW_PARENT_RUN_ID}` = '{parent}' and {condition}",
            page_token=token,
        )
        yield from page
        token = page.token
        if not token:
            return
