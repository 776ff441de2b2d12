"""The parts put together: run a study with its records, figures and exports."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Sequence

from kdsearch.data import Dataset
from kdsearch.errors import KdsearchError
from kdsearch.execution.observers import Observer, Observers
from kdsearch.execution.session import check_address, ray_session
from kdsearch.export.report import write_students, write_tables
from kdsearch.results.directory import StudyDirectory
from kdsearch.results.study import Study
from kdsearch.search.study_run import StudyRun
from kdsearch.space.checks import make_plan
from kdsearch.spec.study import StudySpec
from kdsearch.tracking.figures import write_figures
from kdsearch.tracking.recorder import Recorder
from kdsearch.tracking.store import open_store


def run_study(
    spec: StudySpec,
    *,
    resume: bool = False,
    address: str | None = None,
    observers: Sequence[Observer] = (),
) -> Study:
    """Run a whole study: teacher, search, finalists, report.

    Args:
        spec: The study, from :func:`kdsearch.load_spec`.
        resume: Go on with a study that was interrupted, or that is to have more trials.
        address: Address of a Ray cluster; absent: ``RAY_ADDRESS``, else this machine.
        observers: Told of everything that happens, beside the MLflow recorder.

    Returns:
        The finished study; ``.front`` and ``.trials`` are pandas data frames.

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
    directory = StudyDirectory.of(spec)
    directory.check(spec, resume)
    plan = make_plan(spec)
    check_address(address)
    recorder = Recorder(open_store(spec.tracking))
    watching = Observers([recorder, *observers])
    run = StudyRun(plan, watching)
    with ray_session(spec, address), directory.locked():
        directory.create(spec)
        facts = {
            "name": plan.data.name,
            "fingerprint": plan.data.fingerprint,
            "validation": len(plan.data.validation),
        }
        del plan  # and with it the pictures, once the run has them in Ray's store
        directory.update(state="running", reason=None, data=facts)
        study = Study(directory)
        try:
            watching.study_started(study)
            run.run()
            _report(study, run.plan.data)
            watching.study_finished(study)
        except BaseException as error:
            state = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
            reason = str(error) if isinstance(error, KdsearchError) else repr(error)
            directory.update(state=state, reason=reason)
            watching.study_stopped(study, state, reason)
            raise
        directory.update(state="finished", phase="done")
    return study


def _report(study: Study, data: Dataset) -> None:
    study.directory.update(phase="report")
    write_tables(study)
    write_figures(study)
    write_students(study, data)


def quieten() -> None:
    """Keep other libraries' chatter off the user's terminal; warnings and errors still show."""
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    for name in ("alembic", "mlflow", "ray"):
        logging.getLogger(name).setLevel(logging.ERROR)
    # failed trials are told with their reasons by kdsearch, without Ray's traces
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)
