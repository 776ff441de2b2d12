"""Runs trainings by Ray Tune: one Tune trial for each, paused at its rungs, on reused actors."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import Any

import ray
from ray import cloudpickle, tune
from ray.tune import Checkpoint
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from kdsearch.execution.dispatcher import Dispatcher
from kdsearch.execution.failures import shared_token
from kdsearch.execution.jobs import Jobs
from kdsearch.execution.observers import Observer
from kdsearch.execution.trainable import StudentTrial
from kdsearch.execution.trial_files import TrialFiles
from kdsearch.results.record import Journal
from kdsearch.spec.sections import ResourcesSection


class Runner:
    """Runs the trainings of a study, several at a time.

    Args:
        shared: What every actor holds: packed data and teacher (see :class:`StudentTrial`).
        resources: Trials at a time, and what each may use.
        folder: The study's, in which actors show that they share it.
        observer: Told of every start, epoch and end.
        trainable: The actor that trains, a :class:`StudentTrial`.
    """

    def __init__(
        self,
        shared: dict[str, Any],
        resources: ResourcesSection,
        folder: Path,
        observer: Observer,
        trainable: type[StudentTrial] = StudentTrial,
    ) -> None:
        place = {"folder": str(folder.resolve()), "token": shared_token(folder)}
        self._shared = shared | place
        self._resources = resources
        self._observer = observer
        self._trainable = trainable

    def run(self, jobs: Jobs, journal: Journal, name: str, places: TrialFiles) -> None:
        """Run jobs until there are no more.

        Args:
            jobs: Where trainings come from; told of each outcome.
            journal: The history of the phase.
            name: Name of the run below the storage.
            places: Where the trainings leave their files.

        Raises:
            RunError: Too many trainings failed for one reason, or no node can run any.
        """
        # so many actors may start at once; Tune starts one after another by itself
        os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = str(self._resources.concurrent)
        each = self._each()
        dispatcher = Dispatcher(
            jobs, journal, self._observer, places, self._resources, partial(has_node, each)
        )
        trainable = tune.with_resources(
            tune.with_parameters(self._trainable, shared=self._shared), partial(_placement, each)
        )
        paused = _PausedTrials()
        tuner = tune.Tuner(
            trainable,
            tune_config=tune.TuneConfig(
                search_alg=_NextTraining(dispatcher, paused),
                scheduler=_Pausing(dispatcher, paused, partial(_placement, each)),
                num_samples=-1,
                reuse_actors=True,
                trial_dirname_creator=_folder_name,
            ),
            run_config=tune.RunConfig(
                name=name,
                storage_path=places.storage,
                verbose=0,
                callbacks=[_Telling(dispatcher, places)],
                checkpoint_config=tune.CheckpointConfig(num_to_keep=1, checkpoint_at_end=False),
                failure_config=tune.FailureConfig(max_failures=0),
            ),
        )
        tuner.fit()
        if dispatcher.fault is not None:
            raise dispatcher.fault

    def _each(self) -> dict[str, float]:
        gpus = self._resources.gpus_per_trial
        return {"CPU": self._resources.cpus_per_trial} | ({"GPU": gpus} if gpus else {})


def _placement(each: dict[str, float], config: dict[str, Any]) -> tune.PlacementGroupFactory:
    """Where an actor may run: not on the nodes that ``config`` says to avoid."""
    avoid = config.get("avoid")
    if not avoid:
        return tune.PlacementGroupFactory([each])
    selector = {"ray.io/node-id": f"!in({','.join(avoid)})"}
    return tune.PlacementGroupFactory([each], bundle_label_selector=[selector])


def _folder_name(trial: Trial) -> str:
    """The folder of a Tune trial; a training that was lost has another one afterwards."""
    return f"trial-{trial.config['number']:04d}-{trial.trial_id}"


def has_node(each: dict[str, float], avoid: list[str]) -> bool:
    """Whether a node is left that holds an actor."""
    return any(
        node["Alive"]
        and node["NodeID"] not in avoid
        and all(node["Resources"].get(kind, 0) >= need for kind, need in each.items())
        for node in ray.nodes()
    )


class _PausedTrials:
    """The Tune trials that are paused, by the numbers of their trainings.

    Attributes:
        resuming: Those that are to go on now.
    """

    def __init__(self) -> None:
        self._trials: dict[int, Trial] = {}
        self.resuming: list[Trial] = []

    def add(self, trial: Trial) -> None:
        self._trials[trial.config["number"]] = trial

    def resume(self, number: int, checkpoint: str | None) -> bool:
        """Let a training go on in its Tune trial, if it has one that has what it goes on from."""
        trial = self._trials.pop(number, None)
        if trial is None or checkpoint is None or trial.status != Trial.PAUSED:
            return False
        self.resuming.append(trial)
        return True


class _Bystander:
    """Nothing of it is saved for a restore by Ray Tune: a study goes on from its own files."""

    def __getstate__(self) -> dict[str, Any]:
        return {}


class _NextTraining(_Bystander, Searcher):
    """Asked by Ray Tune for configurations."""

    def __init__(self, dispatcher: Dispatcher, paused: _PausedTrials) -> None:
        super().__init__()
        self._dispatcher, self._paused = dispatcher, paused

    def suggest(self, trial_id: str) -> Any:
        """The configuration of a new Tune trial; those that are paused are resumed on the way."""
        while (record := self._dispatcher.next()) is not None:
            if not self._paused.resume(record.number, record.checkpoint):
                return self._dispatcher.config(record)
        return Searcher.FINISHED if self._dispatcher.finished else None

    def on_trial_complete(
        self, trial_id: str, result: dict | None = None, error: bool = False
    ) -> None:
        """Outcomes come by the callback, which knows the reason of a failure."""

    def save(self, checkpoint_path: str) -> None:
        Path(checkpoint_path).write_text("the state is in the study's own files\n")

    def restore(self, checkpoint_path: str) -> None:
        raise NotImplementedError("a study goes on with `kdsearch run --resume`")


class _Pausing(_Bystander, FIFOScheduler):
    """Pauses trials at their rungs and resumes those that the search has chosen.

    Who goes on is not decided here: a scheduler that decides by what has come in so far decides
    otherwise at another speed, and Ray Tune's own forget their rungs when a search is restored.
    """

    def __init__(self, dispatcher: Dispatcher, paused: _PausedTrials, placement: Any) -> None:
        super().__init__()
        self._dispatcher, self._paused, self._placement = dispatcher, paused, placement

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        epoch = result.get("report/epoch")
        if epoch is None or not self._dispatcher.pauses(trial.config["number"], epoch):
            return TrialScheduler.CONTINUE
        self._paused.add(trial)
        return TrialScheduler.PAUSE

    def choose_trial_to_run(self, tune_controller: Any) -> Trial | None:
        """One that goes on; Tune itself starts those that are new."""
        if self._paused.resuming:
            trial = self._paused.resuming.pop(0)
            config = trial.config | {"avoid": self._dispatcher.failures.avoided}
            trial.update_resources(self._placement(config))
            return trial
        if self._dispatcher.finished:
            for trial in tune_controller.get_trials():
                if trial.status == Trial.PAUSED:
                    tune_controller.stop_trial(trial)
        return None


class _Telling(_Bystander, tune.Callback):
    """Told by Ray Tune what happens."""

    def __init__(self, dispatcher: Dispatcher, places: TrialFiles) -> None:
        self._dispatcher, self._places = dispatcher, places

    def on_trial_start(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        self._dispatcher.take(self._dispatcher.started, trial.config["number"])

    def on_trial_result(
        self,
        iteration: int,
        trials: list[Trial],
        trial: Trial,
        result: dict[str, Any],
        **info: Any,
    ) -> None:
        self._dispatcher.take(self._dispatcher.epoch, trial.config["number"], result)

    def on_checkpoint(
        self,
        iteration: int,
        trials: list[Trial],
        trial: Trial,
        checkpoint: Checkpoint,
        **info: Any,
    ) -> None:
        path = self._places.relative(checkpoint.path)
        self._dispatcher.take(self._dispatcher.saved, trial.config["number"], path)

    def on_trial_complete(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        self._dispatcher.take(self._dispatcher.ended, trial.config["number"])

    def on_trial_error(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        self._dispatcher.take(self._dispatcher.lost, trial.config["number"], _error(trial))


def _error(trial: Trial) -> BaseException | None:
    """What Ray raised when a trial failed, if it can be known."""
    path = trial.pickled_error_file
    if path is None or not Path(path).is_file():
        return None
    return cloudpickle.loads(Path(path).read_bytes())
