"""The parts put together: run a study with its records, figures and exports."""

from __future__ import annotations

import logging
import os
import secrets
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from functools import partial
from pathlib import Path

from kdsearch.data import Dataset
from kdsearch.data.balance import data_warnings
from kdsearch.errors import ClusterError, KdsearchError, RunError
from kdsearch.execution.connection.address import check_address
from kdsearch.execution.connection.ray_watch import ray_watched
from kdsearch.execution.connection.session import ray_session
from kdsearch.execution.observers import Observer, Observers
from kdsearch.execution.storage.access import check_storage
from kdsearch.export.keeping import keeping_summaries
from kdsearch.export.onnx_students import write_missing_students, write_onnx_students
from kdsearch.export.report import write_students, write_tables
from kdsearch.files import NO_SPACE
from kdsearch.interrupts import called_when_interrupted
from kdsearch.redaction import redacted
from kdsearch.report.figures import write_front
from kdsearch.report.page import PAGE, write_page
from kdsearch.results.directory import StudyDirectory
from kdsearch.results.resume import DataFacts, Inputs, check_retry
from kdsearch.results.study import Study
from kdsearch.search.study_run import StudyRun
from kdsearch.space.checks import Plan, make_plan
from kdsearch.space.export_checks import export_warnings
from kdsearch.space.initial_checks import initial_sums
from kdsearch.spec.sections import TrackingSection
from kdsearch.spec.study import StudySpec
from kdsearch.tracking.recorder import Recorder
from kdsearch.tracking.store import open_store
from kdsearch.tracking.sync import sync
from kdsearch.tracking.uri import resumed_uri
from kdsearch.training.own_code import own_code


def run_study(
    spec: StudySpec,
    *,
    resume: bool = False,
    retry_failed: bool = False,
    address: str | None = None,
    observers: Sequence[Observer] = (),
) -> Study:
    """Run a whole study: teacher, search, finalists, report.

    Args:
        spec: The study, from :func:`kdsearch.load_spec`.
        resume: Go on with a study that was interrupted, or that is to have more trials.
        retry_failed: With ``resume``, train again what has failed.
        address: Address of a Ray cluster; absent: ``RAY_ADDRESS``, else this machine.
        observers: Told of everything that happens, beside the MLflow recorder.

    Returns:
        The finished study, known by its absolute path; ``.front`` and ``.trials`` are pandas data
        frames.

    Raises:
        UserError: The study cannot be run as asked; nothing was written.
        RunError: Something broke on the way; ``resume`` goes on from there.

    Example:
        >>> import kdsearch  # doctest: +SKIP
        >>> spec = kdsearch.load_spec("search_spaces/digits.yaml")  # doctest: +SKIP
        >>> study = kdsearch.run_study(spec)  # doctest: +SKIP
        >>> study.front[["method", "parameters", "test_accuracy"]]  # doctest: +SKIP
    """
    quieten()
    check_retry(resume, retry_failed)
    directory = StudyDirectory.of(spec)
    directory.check(spec, resume)
    told = Observers([*observers]).preparing
    plan, inputs = plan_study(spec, directory if resume else None, retry_failed, told)
    told("starting Ray")
    check_address(address)
    check_storage(spec)
    recorder = Recorder(open_store(_tracking(spec, directory if resume else None)))
    watching = Observers([recorder, *observers])
    run = StudyRun(plan, watching, retry_failed)
    exported = export_warnings(spec, plan.data, own_alone=True)
    warnings_told = [*data_warnings(plan.data), *plan.warnings, *exported]
    del plan  # and with it the images, once the run has them in Ray's store
    with (
        called_when_interrupted(watching.stopping),
        _files_told(directory),
        ray_session(spec, address),
        directory.locked(),
    ):
        directory.check(spec, resume)  # again: another process may have come first
        if resume and (lost := directory.lost()):
            _tell_lost(directory, lost)
        directory.create(spec, inputs)
        directory.update(state="running", reason=None)
        study = Study(directory)
        try:
            with _files_told(directory), ray_watched(partial(_ray_ended, study, watching)):
                watching.study_started(study)
                for warning in warnings_told:
                    watching.warned(warning)
                with keeping_summaries(directory.path):
                    run.run()
                _report(study, run.plan.data, watching)
                watching.study_finished(study)
        except BaseException as error:
            _stop(study, watching, error)
            raise
        directory.update(state="finished", phase="done")
    return Study.open(directory.path)


def plan_study(
    spec: StudySpec,
    resumed: StudyDirectory | None,
    retry_failed: bool = False,
    told: Callable[[str], None] = lambda step: None,
) -> tuple[Plan, Inputs]:
    """Check a study, and find what it is made from.

    Args:
        spec: The study.
        resumed: Its folder, if it is to go on; then data, checkpoints and the user's code must be
            as they were, and the studies of ``warm_start`` are not asked again.
        retry_failed: Whether what has failed is trained again; then code may have been fixed.
        told: Is told of each step that takes a while, when it begins.

    Raises:
        UserError: The study cannot be run as asked.
    """
    known = resumed.inputs() if resumed else None
    plan = make_plan(spec, known, told)
    data = plan.data
    inputs = Inputs(
        id=known.id if known else secrets.token_hex(8),
        data=DataFacts(
            name=data.name,
            fingerprint=data.fingerprint,
            train=len(data.train),
            validation=len(data.validation),
            inputs=data.input_shapes,
        ),
        checkpoints={name: teacher.key for name, teacher in plan.given_teachers.items()}
        | initial_sums(spec),
        code=own_code(spec),
        past=plan.past,
        chains=[asdict(chain) for chain in plan.chains],
    )
    if known and resumed:
        known.check(inputs, resumed.path, retry_failed)
    return plan, inputs


def _tracking(spec: StudySpec, resumed: StudyDirectory | None) -> TrackingSection:
    """Where the study is tracked: where it was, if it is resumed and nothing else is said."""
    uri = spec.tracking.uri
    if resumed is not None and "study.json" not in resumed.lost():
        uri = resumed_uri(spec.tracking, Study(resumed))
    return spec.tracking.model_copy(update={"uri": uri})


def sync_study(path: str | Path, uri: str | None = None) -> str:
    """Make MLflow's copy of a study again from the study's own files.

    Finalists of a finished study that are not ONNX files yet, as those of an earlier kdsearch, are
    made such files, and so become models in MLflow. A line on stderr tells where that fails.

    Args:
        path: The study's folder.
        uri: Tracking URI of the store; absent: the study's own.

    Returns:
        The store's URI without passwords.

    Raises:
        UserError: There is no study, or it is running.
        StoreError: The store cannot be reached, or refuses the study.
    """
    quieten()
    study = Study.open(path)
    with _files_told(study.directory), study.directory.locked():
        if study.state.get("state") == "finished":
            write_tables(study)
            for warning in write_missing_students(study):
                print(f"kdsearch: {warning}", file=sys.stderr)
            write_pictures(study)
        return sync(study, uri)


def _report(study: Study, data: Dataset, watching: Observer) -> None:
    study.directory.update(phase="report")
    write_tables(study)
    write_students(study, data)
    for warning in write_onnx_students(study, data):
        watching.warned(warning)
    write_pictures(study, ended=True)


def write_pictures(study: Study, ended: bool = False) -> None:
    """Write the front as a picture, and the page that shows everything, into the study's folder."""
    write_front(study)
    write_page(study, ended=ended)


def _stop(study: Study, watching: Observer, error: BaseException) -> None:
    """Note down how a study ended early; what fails of that must not hide why it ended."""
    state = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
    reason = str(error) if isinstance(error, KdsearchError) else redacted(repr(error))
    with suppress(Exception):
        study.directory.update(state=state, reason=reason)
    with suppress(Exception):
        watching.study_stopped(study, state, reason)
    with suppress(Exception):
        write_tables(study)
    with suppress(Exception):
        if (study.directory.path / PAGE).exists():  # which may say that it has finished
            write_page(study)


def _ray_ended(study: Study, watching: Observer, error: ClusterError) -> None:
    print(f"kdsearch: {error}", file=sys.stderr, flush=True)
    _stop(study, watching, error)


def _tell_lost(directory: StudyDirectory, lost: list[str]) -> None:
    hours = "; search.max_hours counts from now on" if "study.json" in lost else ""
    print(
        f"kdsearch: {' and '.join(lost)} of the study in {directory.path} is missing and made "
        f"again from its other files{hours}",
        file=sys.stderr,
    )


@contextmanager
def _files_told(directory: StudyDirectory) -> Iterator[None]:
    """Tell of a file that cannot be written or read, as on a full disk, in one sentence."""
    try:
        yield
    except OSError as error:
        if error.errno is None or isinstance(error, ConnectionError):  # no file, but a server
            raise
        place, reason = error.filename or directory.path, os.strerror(error.errno)
        remedy = "fix that"
        if error.errno in NO_SPACE:
            remedy = "free space there"
        again = "go on with --resume" if directory.exists() else "run it again"
        raise RunError(f"{place}: {reason}; {remedy}, then {again}") from error


def quieten() -> None:
    """Keep other libraries' chatter off the user's terminal; errors still show."""
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    import optuna

    # it warns of every parameter that only some trials have
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    for name in ("alembic", "ray"):
        logging.getLogger(name).setLevel(logging.ERROR)
    # failed trials, and a store that fails, are told with their reasons by kdsearch, without traces
    for name in ("mlflow", "ray.tune"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
