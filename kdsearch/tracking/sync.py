"""MLflow's copy of a study, made again from the study's own files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from kdsearch.errors import KdsearchError
from kdsearch.redaction import redacted_uri
from kdsearch.results.study import Study
from kdsearch.tracking.recorder import refused
from kdsearch.tracking.store import open_store
from kdsearch.tracking.uri import resumed_uri, study_uri
from kdsearch.tracking.writer import Writer
from kdsearch.training.teacher_store import StoredTeacher, TeacherStore


def sync(study: Study, uri: str | None = None) -> str:
    """Bring a store to what the study's files hold; what it has already is not written twice.

    Args:
        study: The study, which no process runs; if it is finished, with its report's files.
        uri: The store; absent: that of its spec, else the one that had the study last.

    Returns:
        The store's URI without passwords.

    Raises:
        StoreError: The store cannot be reached, or refuses the study.
    """
    tracking = study.spec.tracking
    place = uri or (resumed_uri(tracking, study) if tracking.uri else study_uri(study))
    store = open_store(tracking.model_copy(update={"uri": place}))
    try:
        _write(Writer(store, study), study)
    except KdsearchError:
        raise
    except Exception as error:  # each kind of store has errors of its own
        raise refused(store, error) from error
    return redacted_uri(store.uri)


def _write(writer: Writer, study: Study) -> None:
    state = study.state
    writer.begin()
    for name, told in state.get("teachers", {}).items():
        writer.write_teacher(_teacher(study, name, told["key"]), told.get("trained", False))
    records = list(study.directory.trials.read().values())
    for record in (*records, *study.directory.finalists.read().values()):
        writer.write_trial(record)
    writer.write_hypervolume([record for record in records if record.complete])
    if state.get("state") == "finished":
        writer.finish()
    else:
        status = "FAILED" if state.get("state") == "failed" else "KILLED"
        writer.stop(status, state.get("reason") or "the study's process ended without a word")


def _teacher(study: Study, name: str, key: str) -> StoredTeacher:
    """A teacher with the history of its training, if the folder of teachers has it still."""
    found = TeacherStore(study.directory.path.parent / ".teachers").find(key)
    if found is not None:
        return replace(found, name=name)
    weights = Path(study.state["teachers"][name]["weights"])
    model, tasks = study.spec.given_teachers[name].model, study.spec.tasks_of(name)
    return StoredTeacher(key, model, weights, {}, name, tasks)
