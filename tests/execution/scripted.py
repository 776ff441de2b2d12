"""Trainings that fail as they are told, on the way of real ones; the actors import this module."""

from __future__ import annotations

import ctypes
import os
import signal
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch

from kdsearch.errors import DivergedError
from kdsearch.execution.failures import check_shared
from kdsearch.execution.jobs import Jobs, NoMoreJobs, RungStage
from kdsearch.execution.trainable import StudentTrial
from kdsearch.models import build_network, of_images
from kdsearch.results.record import Phase, TrialRecord
from kdsearch.spec import ModelConfig
from kdsearch.spec.sections import ResourcesSection
from kdsearch.training.hardware import Hardware
from tests.records import TASK, trial

EPOCHS = 4
GO = "go"


class Report:
    """One epoch of a training that learns nothing; it tells its process."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def as_dict(self) -> dict[str, float]:
        return {
            "epoch": float(self.epoch),
            "seconds": 0.1,
            "accuracy": 0.5,
            "process": float(os.getpid()),
        }


class ScriptedProgram:
    """Does in each epoch what the script says for it, and notes that it has come there.

    Args:
        number: Of the training.
        script: What to do, by ``NUMBER/EPOCH``; with ``?`` behind it, the first time alone.
            ``wait``: until there is a file :data:`GO` in the folder.
        folder: Takes a file for each time that an epoch is begun.
    """

    def __init__(self, number: int, script: dict[str, str], folder: Path) -> None:
        self._number, self._script, self._folder = number, script, folder
        self.epoch = 0
        self.student = build_network(ModelConfig(family="mlp", width=0.01), of_images((1, 1, 1)), 2)

    @property
    def finished(self) -> bool:
        return self.epoch == EPOCHS

    def train_epoch(self) -> Report:
        epoch = self.epoch + 1
        times = len(list(self._folder.glob(f"{self._number}-{epoch}-*")))
        (self._folder / f"{self._number}-{epoch}-{times}").touch()
        action = self._script.get(f"{self._number}/{epoch}", "")
        if action.endswith("?"):
            action = "" if times else action[:-1]
        if action == "wait":
            self._wait()
        elif action:
            ACTIONS[action]()
        self.epoch = epoch
        return Report(epoch)

    def _wait(self) -> None:
        deadline = time.monotonic() + 600
        while not (self._folder / GO).exists():
            assert time.monotonic() < deadline, f"no file {GO} came"
            time.sleep(0.1)

    def score_test(self) -> dict[str, float]:
        return {"accuracy": 0.25}

    def state_dict(self) -> dict[str, Any]:
        return {"epoch": self.epoch, "weights": torch.arange(4.0)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.epoch = state["epoch"]


def _raise(error: BaseException) -> None:
    raise error


class AwkwardError(Exception):
    """A user's error that cannot be unpickled."""

    def __init__(self, one: int, two: int) -> None:
        super().__init__("the user's own mistake")


ACTIONS = {
    "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "segfault": lambda: ctypes.string_at(0),
    "exit": lambda: os._exit(3),
    "mistake": lambda: _raise(AwkwardError(1, 2)),
    "memory": lambda: _raise(MemoryError()),
    "interrupt": lambda: _raise(KeyboardInterrupt()),
    "diverge": lambda: _raise(DivergedError("the loss became nan in epoch 1; lower it")),
    "disk": lambda: _raise(OSError(28, "No space left on device")),
    "hang": lambda: time.sleep(600),
    "slow": lambda: time.sleep(3),
    "slower": lambda: time.sleep(6),
}


class ScriptedTrial(StudentTrial):
    """A trial without data and teacher, whose training follows a script."""

    def _set_up(self, shared: dict[str, Any]) -> None:
        check_shared(Path(shared["folder"]), shared["token"])
        if shared["broken"] in ("everywhere", self._node):
            raise RuntimeError("the driver of the device is too old")
        self._resources = ResourcesSection.model_validate(shared["resources"])
        self._hardware = Hardware()
        self._signals: Any = SimpleNamespace(warning=None)
        self._script, self._notes = shared["script"], Path(shared["notes"])

    def _begin_program(self) -> Any:
        self._program: Any = ScriptedProgram(self._config["number"], self._script, self._notes)
        return self._loaded(self._program)


class Trainings(Jobs):
    """So many trainings, each paused at its rungs; those that wait go on after the last new one.

    Args:
        count: How many.
        rungs: Epochs after which each is paused.
        finished: Records of before.
        phase: Of the trainings.
    """

    def __init__(
        self,
        count: int,
        rungs: tuple[int, ...] = (),
        finished: dict[int, TrialRecord] | None = None,
        phase: Phase = "search",
    ) -> None:
        finished = finished or {}
        self._rungs = rungs
        self._waiting = [
            finished.get(number, new(number).model_copy(update={"phase": phase}))
            for number in range(count)
            if number not in finished or not finished[number].ended
        ]
        self._left = len(self._waiting)
        self.outcomes: list[TrialRecord] = []

    def next(self) -> TrialRecord | None:
        if not self._waiting:
            if self._left:
                return None
            raise NoMoreJobs
        return self._waiting.pop(0)

    def stage(self, record: TrialRecord) -> RungStage:
        return RungStage(next((rung for rung in self._rungs if rung > len(record.epochs)), None))

    def ended(self, record: TrialRecord) -> None:
        self.outcomes.append(record)
        if record.status == "paused":
            self._waiting.append(record.model_copy(update={"status": "running"}))
        else:
            self._left -= 1


def new(number: int) -> TrialRecord:
    """A training that was just proposed; its task is its own."""
    task = TASK.model_copy(update={"seed": number})
    record = trial(number, None, 10)
    return record.model_copy(update={"status": "running", "task": task})
