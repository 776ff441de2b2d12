"""Keeps the actors of a search warm while no trial is there for them."""

from __future__ import annotations

from typing import Any

from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler


class KeepingActors(FIFOScheduler):
    """Runs trials in their order, and lets no actor go before the run ends.

    Ray Tune keeps a single actor for which no trial waits. A search waits now and then, until a
    slow trial has ended, before it proposes the next ones; the actor of the slow trial would then
    be ended beside one that is kept already, and another be started for seconds.

    Args:
        count: Trials at a time, which is how many actors are kept.
    """

    def __init__(self, count: int) -> None:
        super().__init__()
        self._count = count
        self._told = False

    def on_trial_add(self, tune_controller: Any, trial: Trial) -> None:
        """Tell Ray Tune's store of warm actors, before the first trial, how many to keep."""
        if not self._told:
            self._told = True
            cache = tune_controller._tune_controller._actor_cache
            cache.increase_max(trial.placement_group_factory, by=self._count)
