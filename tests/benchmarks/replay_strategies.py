"""The searches that are compared: what proposes the trials, and what ends them early."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from types import SimpleNamespace
from typing import Any

import numpy as np
from ray.tune.schedulers import AsyncHyperBandScheduler, TrialScheduler
from replay import Stopping

from kdsearch.execution.jobs import Jobs
from kdsearch.results.record import TrialRecord
from kdsearch.search.loop import ProposedJobs
from kdsearch.search.proposer import Proposer
from kdsearch.space.checks import Plan
from kdsearch.space.space import Space
from kdsearch.space.warm_start import Front, warm_start_proposals
from kdsearch.spec.study import StudySpec

GRACE, REDUCTION = 3, 3
"""First rung of the schedulers that are not ours, in epochs of 27, and what they keep: one in so
many, as ours do."""

Decide = Callable[[TrialRecord], bool]
"""Whether a trial goes on, by its record with the latest report."""


@dataclass(frozen=True)
class Strategy:
    """A search.

    Attributes:
        sampler: kdsearch's name of what proposes.
        scheduler: kdsearch's name of what ends trials early.
        other: Makes a scheduler that is not kdsearch's, from the epochs of a training and a seed.
    """

    sampler: str
    scheduler: str = "none"
    other: Callable[[int, int], Decide] | None = None

    def jobs(
        self, plan: Plan, epochs: int, seed: int, workers: int, trials: int, fronts: Sequence[Front]
    ) -> Jobs:
        """The jobs of one search.

        Args:
            plan: The study.
            epochs: Of a whole training.
            seed: Of the search.
            workers: Jobs at a time.
            trials: At most so many.
            fronts: Of earlier studies, which are tried first.
        """
        spec = _with(plan.spec, self, seed, workers, trials)
        space = Space(spec, plan.space.fitting)
        proposer = Proposer(space, plan.architectures, warm_start_proposals(space, fronts))
        if self.other is None:
            return ProposedJobs(spec, proposer, {})
        # no order to keep: outcomes count as they come, which no worker waits for
        proposed = ProposedJobs(spec, proposer, {}, deterministic=False)
        return Compared(proposed, self.other(epochs, seed))


def _with(spec: StudySpec, strategy: Strategy, seed: int, workers: int, trials: int) -> StudySpec:
    scheduler = spec.search.scheduler.model_copy(update={"name": strategy.scheduler})
    search = {"sampler": strategy.sampler, "scheduler": scheduler, "trials": trials}
    return spec.model_copy(
        update={
            "study": spec.study.model_copy(update={"seed": seed}),
            "search": spec.search.model_copy(update=search),
            "resources": spec.resources.model_copy(update={"concurrent": workers}),
        }
    )


class Compared(Stopping):
    """Trials that kdsearch proposes and another scheduler ends early.

    Args:
        proposed: The proposals.
        decide: The other scheduler.
    """

    def __init__(self, proposed: ProposedJobs, decide: Decide) -> None:
        self._proposed, self._decide = proposed, decide

    def next(self) -> TrialRecord | None:
        return self._proposed.next()

    def goes_on(self, record: TrialRecord) -> bool:
        return self._decide(record)

    def ended(self, record: TrialRecord) -> None:
        """A trial that was stopped is over; the sampler learns from complete ones alone."""
        update = {"status": "failed", "reason": "stopped"} if record.status == "stopped" else {}
        self._proposed.ended(record.model_copy(update=update))


def tunes_asha(epochs: int, seed: int) -> Decide:
    """Ray Tune's ASHA on accuracy alone, which is what it takes."""
    np.random.seed(seed)  # noqa: NPY002 - it draws from NumPy's one generator
    scheduler = AsyncHyperBandScheduler(
        time_attr="epoch",
        metric="averaged_accuracy",
        mode="max",
        max_t=epochs,
        grace_period=GRACE,
        reduction_factor=REDUCTION,
    )

    def decide(record: TrialRecord) -> bool:
        trial: Any = SimpleNamespace(trial_id=str(record.number))
        if len(record.epochs) == 1:
            scheduler.on_trial_add(None, trial)
        decision = scheduler.on_trial_result(None, trial, record.epochs[-1])
        return decision != TrialScheduler.STOP

    return decide


def syne_tunes_moasha(fixed: bool, epochs: int, seed: int) -> Decide:
    """Syne Tune's MO-ASHA over error and log size, as published or with its ranks fixed.

    Its ``NonDominatedPriority`` gives the order of the points where their ranks are expected, and
    its epsilon-net gives ranks where the order is.
    """
    from replay_moasha import make_moasha

    return make_moasha(fixed, epochs, GRACE, REDUCTION, seed)


def strategies() -> dict[str, Strategy]:
    """Every search by name; those of Syne Tune where it is installed."""
    found = {
        "random": Strategy("random"),
        "tpe": Strategy("tpe"),
        "nsga2": Strategy("nsga2"),
        "tpe + Ray Tune's ASHA on accuracy": Strategy("tpe", other=tunes_asha),
        "kdsearch halving": Strategy("tpe", "halving"),
        "kdsearch neighbours": Strategy("tpe", "neighbours"),
    }
    if find_spec("syne_tune") is None:
        return found
    for words, fixed in (("as published", False), ("fixed", True)):
        for sampler in ("random", "tpe"):
            name = f"{sampler} + Syne Tune's MO-ASHA {words}"
            found[name] = Strategy(sampler, other=_moasha(fixed))
    return found


def _moasha(fixed: bool) -> Callable[[int, int], Decide]:
    return lambda epochs, seed: syne_tunes_moasha(fixed, epochs, seed)


def chosen(names: Sequence[str] | None) -> dict[str, Strategy]:
    """Some of the strategies; all for ``None``."""
    return {name: each for name, each in strategies().items() if names is None or name in names}
