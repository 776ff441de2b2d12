"""Run jobs as Ray Tune trials on reused actors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ray import cloudpickle, tune
from ray.tune.experiment import Trial
from ray.tune.schedulers import TrialScheduler
from ray.tune.search import Searcher

from kdsearch.errors import one_line
from kdsearch.execution.actors import KeepingActors
from kdsearch.execution.dispatcher import Dispatcher, Places
from kdsearch.execution.jobs import Jobs
from kdsearch.execution.observers import Observer
from kdsearch.execution.trainable import StudentTrial
from kdsearch.results.record import Journal
from kdsearch.spec.sections import ResourcesSection

LOST_TRIES = 1
"""How often a training whose process was lost is begun again before it counts as failed."""


class Runner:
    """Runs the trainings of a study, several at a time.

    Args:
        shared: What every actor holds: packed data and teacher (see :class:`StudentTrial`).
        resources: Trials at a time, and what each may use.
        storage: Folder for Ray Tune's own files.
        observer: Told of every start, epoch and end.
        trainable: The actor that trains, a :class:`StudentTrial`.
    """

    def __init__(
        self,
        shared: dict[str, Any],
        resources: ResourcesSection,
        storage: Path,
        observer: Observer,
        trainable: type[StudentTrial] = StudentTrial,
    ) -> None:
        self._shared = shared
        self._resources = resources
        self._storage = storage
        self._observer = observer
        self._trainable = trainable

    def run(self, jobs: Jobs, journal: Journal, name: str, places: Places) -> None:
        """Run jobs until there are no more.

        Args:
            jobs: Where trainings come from; told of each outcome.
            journal: Takes the record of each training that ends.
            name: Name of the run below the storage folder.
            places: Where the trainings leave their files.
        """
        desk = Dispatcher(jobs, journal, self._observer, places)
        trainable = tune.with_resources(
            tune.with_parameters(self._trainable, shared=self._shared), self._each()
        )
        tuner = tune.Tuner(
            trainable,
            tune_config=tune.TuneConfig(
                search_alg=_DispatchingSearcher(desk),
                scheduler=_StageScheduler(self._resources.concurrent),
                num_samples=-1,
                max_concurrent_trials=self._resources.concurrent,
                reuse_actors=True,
            ),
            run_config=tune.RunConfig(
                name=name,
                storage_path=str(self._storage.resolve()),
                verbose=0,
                callbacks=[_DispatchingCallback(desk)],
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
                failure_config=tune.FailureConfig(max_failures=LOST_TRIES),
            ),
        )
        tuner.fit()
        if desk.fault is not None:
            raise desk.fault

    def _each(self) -> dict[str, float]:
        gpus = self._resources.gpus_per_trial
        return {"CPU": self._resources.cpus_per_trial} | ({"GPU": gpus} if gpus else {})


class _DispatchingSearcher(Searcher):
    """Ray Tune's way to the desk: it asks here for configurations.

    Ray Tune saves its searcher and callbacks for a restore that kdsearch never makes, since the
    study's own files hold the state; so nothing of the desk is saved.
    """

    def __init__(self, desk: Dispatcher) -> None:
        super().__init__()
        self._desk: Dispatcher | None = desk

    def suggest(self, trial_id: str) -> Any:
        assert self._desk is not None
        return self._desk.hand_out()

    def on_trial_complete(
        self, trial_id: str, result: dict | None = None, error: bool = False
    ) -> None:
        """Outcomes come by the callback, which knows the reason of a failure."""

    def save(self, checkpoint_path: str) -> None:
        Path(checkpoint_path).write_text("the state is in the study's own files\n")

    def restore(self, checkpoint_path: str) -> None:
        raise NotImplementedError("a study goes on with `kdsearch run --resume`")

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_desk": None}


class _StageScheduler(KeepingActors):
    """Ends a trial of Ray Tune's once its training has come to its next rung.

    What goes on from there, and when, the search itself decides (:class:`ProposedJobs`), as another
    trial of Ray Tune's: a scheduler that decides by what has come in so far decides otherwise at
    another speed, and Ray Tune's forget their rungs when a search is restored.
    """

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        at_rung = result.get("report/epoch") == trial.config.get("until", 0)
        return TrialScheduler.STOP if at_rung else TrialScheduler.CONTINUE


class _DispatchingCallback(tune.Callback):
    """Ray Tune's way to the desk: it tells here what happens."""

    def __init__(self, desk: Dispatcher) -> None:
        self._desk = desk

    def on_trial_start(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        self._desk.take(self._desk.started, trial.config["number"])

    def on_trial_result(
        self,
        iteration: int,
        trials: list[Trial],
        trial: Trial,
        result: dict[str, Any],
        **info: Any,
    ) -> None:
        self._desk.take(self._desk.epoch, trial.config["number"], result)

    def on_trial_complete(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        self._desk.take(self._desk.ended, trial.config["number"], None)

    def on_trial_error(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        self._desk.take(self._desk.ended, trial.config["number"], failure_reason(trial))

    def __getstate__(self) -> dict[str, Any]:
        return {"_desk": None}


def failure_reason(trial: Trial) -> str:
    """Why a trial's actor broke, in one line."""
    path = trial.pickled_error_file
    if path is None or not Path(path).is_file():
        return "the trial's process broke without a word; see Ray's logs"
    error = cloudpickle.loads(Path(path).read_bytes())
    cause = getattr(error, "cause", None) or error
    return f"{type(cause).__name__}: {one_line(cause)}"
