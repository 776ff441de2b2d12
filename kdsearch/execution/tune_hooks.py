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
from kdsearch.execution.storage.trial_files import TrialFiles

Placement = Callable[[dict[str, Any]], tune.PlacementGroupFactory]
"""Where the actor of a configuration may run."""


class _Bystander:
    """Nothing of it is saved for a restore by Ray Tune: a study goes on from its own files."""

    def __getstate__(self) -> dict[str, Any]:
        return {}


class Pausing(_Bystander, FIFOScheduler):
    """Pauses trials at their rungs and resumes those that the search has chosen.

    Who goes on is not decided here: a scheduler that decides by what has come in so far decides
    otherwise at another speed, and Ray Tune's own forget their rungs when a search is restored.
    """

    def __init__(self, dispatcher: Dispatcher, placement: Placement) -> None:
        super().__init__()
        self._dispatcher, self._placement = dispatcher, placement
        self._paused: dict[int, Trial] = {}
        self._resuming: list[Trial] = []

    def resume(self, number: int, checkpoint: str | None) -> bool:
        """Let a training go on in its Tune trial, if it has one that has what it goes on from."""
        trial = self._paused.pop(number, None)
        if trial is None or checkpoint is None or trial.status != Trial.PAUSED:
            return False
        self._resuming.append(trial)
        return True

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        number, epoch = trial.config["number"], result.get("report/epoch")
        if epoch is None or not self._dispatcher.pauses(number, epoch):
            return TrialScheduler.CONTINUE
        self._paused[number] = trial
        return TrialScheduler.PAUSE

    def choose_trial_to_run(self, tune_controller: Any) -> Trial | None:
        """One that goes on; Tune itself starts those that are new."""
        if self._resuming:
            trial = self._resuming.pop(0)
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


class NextTraining(_Bystander, Searcher):
    """Asked by Ray Tune for configurations; trainings that are paused are resumed on the way."""

    def __init__(self, dispatcher: Dispatcher, pausing: Pausing) -> None:
        super().__init__()
        self._dispatcher, self._pausing = dispatcher, pausing

    def suggest(self, trial_id: str) -> Any:
        while (record := self._dispatcher.next()) is not None:
            if not self._pausing.resume(record.number, record.checkpoint):
                return self._dispatcher.config(record)
        return Searcher.FINISHED if self._dispatcher.finished else None

    def on_trial_complete(self, *_: Any, **__: Any) -> None:
        """Outcomes come by the callback, which knows the reason of a failure."""

    def save(self, checkpoint_path: str) -> None:
        Path(checkpoint_path).write_text("the state is in the study's own files\n")

    def restore(self, checkpoint_path: str) -> None:
        raise NotImplementedError("a study goes on with `kdsearch run --resume`")


class Telling(_Bystander, tune.Callback):
    """Told by Ray Tune what happens."""

    def __init__(self, dispatcher: Dispatcher, files: TrialFiles) -> None:
        self._dispatcher, self._files = dispatcher, files

    def _tell(self, event: Callable[..., None], trial: Trial, *details: Any) -> None:
        with self._dispatcher.faults_kept():  # Tune would take one for a failure of the trial
            event(trial.config["number"], *details)

    def on_step_end(self, iteration: int, trials: list[Trial], **_: Any) -> None:
        with self._dispatcher.faults_kept():
            self._dispatcher.saves.check()
        if self._dispatcher.finished and all(trial.is_finished() for trial in trials):
            raise PhaseEnd

    def on_trial_start(self, trial: Trial, **_: Any) -> None:
        self._tell(self._dispatcher.started, trial)

    def on_trial_result(self, trial: Trial, result: dict[str, Any], **_: Any) -> None:
        self._tell(self._dispatcher.epoch, trial, result)

    def on_checkpoint(self, trial: Trial, checkpoint: Checkpoint, **_: Any) -> None:
        self._tell(self._dispatcher.saved, trial, self._files.relative(checkpoint.path))

    def on_trial_complete(self, trial: Trial, **_: Any) -> None:
        self._tell(self._dispatcher.ended, trial)

    def on_trial_error(self, trial: Trial, **_: Any) -> None:
        self._tell(self._dispatcher.lost, trial, _cause(trial))


def _cause(trial: Trial) -> BaseException | None:
    """What the actor of a trial that failed raised, or else Ray; ``None`` if it is not known."""
    path = trial.pickled_error_file
    if path is None or not Path(path).is_file():
        return None
    error = cloudpickle.loads(Path(path).read_bytes())
    return getattr(error, "cause", None) or error
