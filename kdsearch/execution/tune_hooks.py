"""Where Ray Tune asks and tells: a searcher, a scheduler and a callback around the dispatcher."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ray import cloudpickle, tune
from ray.tune import Checkpoint
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from kdsearch.execution.dispatcher import Dispatcher
from kdsearch.execution.trial_files import TrialFiles

Placement = Callable[[dict[str, Any]], tune.PlacementGroupFactory]
"""Where the actor of a configuration may run."""


class PausedTrials:
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


class NextTraining(_Bystander, Searcher):
    """Asked by Ray Tune for configurations."""

    def __init__(self, dispatcher: Dispatcher, paused: PausedTrials) -> None:
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


class Pausing(_Bystander, FIFOScheduler):
    """Pauses trials at their rungs and resumes those that the search has chosen.

    Who goes on is not decided here: a scheduler that decides by what has come in so far decides
    otherwise at another speed, and Ray Tune's own forget their rungs when a search is restored.
    """

    def __init__(self, dispatcher: Dispatcher, paused: PausedTrials, placement: Placement) -> None:
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


class PhaseEnd(Exception):  # noqa: N818 - a signal, not an error
    """Everything has ended.

    Raised in Ray Tune's loop, since Tune would then put a copy of its state into the storage and
    look there for the results of every trial: minutes for an object store, and hours for one that
    does not answer.
    """


class Telling(_Bystander, tune.Callback):
    """Told by Ray Tune what happens."""

    def __init__(self, dispatcher: Dispatcher, files: TrialFiles) -> None:
        self._dispatcher, self._files = dispatcher, files

    def on_step_end(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        self._dispatcher.take(self._dispatcher.saves.check)
        if self._dispatcher.finished and all(trial.is_finished() for trial in trials):
            raise PhaseEnd

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
        path = self._files.relative(checkpoint.path)
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
