"""The trial that trains nothing; a module of its own, since the actors import it."""

from __future__ import annotations

import math
import time
from typing import Any

from kdsearch.execution.trainable import StudentTrial
from kdsearch.training.hardware import Hardware

SETTLING = 8.0
"""Seconds of the first training of each actor. Ray Tune gives up an actor that is still starting as
soon as another one is free; after trainings of no length a study would have one actor for ever."""


class IdleTrial(StudentTrial):
    """Takes up each task as a trial does, and reports without training.

    It has neither data nor teacher, which an actor takes up once, at its start.
    """

    _settled = False

    def _set_up(self, shared: dict[str, Any]) -> None:
        self._hardware = Hardware()

    def step(self) -> dict[str, Any]:
        if not self._settled:
            self._settled = True
            time.sleep(SETTLING)
        task = self._task
        capacity = task.model.width * (task.model.depth or 1)
        accuracy = 1 - 0.5 / (1 + capacity) - 0.1 * abs(math.log(task.training.lr / 0.05))
        report = {"epoch": 1.0, "loss": 1.0, "lr": task.training.lr, "seconds": 0.0}
        scores = {"accuracy": max(accuracy, 0.0), "nll": 1.0, "ece": 0.1}
        scores |= {"agreement": 0.9, "kl": 0.1, "began": time.time()}
        return {"node": self._node, "report": report | scores, "done": True}
