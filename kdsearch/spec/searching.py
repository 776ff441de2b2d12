"""``search``: what is weighed against what, how trials are proposed, and which end early."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, BeforeValidator, Field

from kdsearch.spec.base import Section
from kdsearch.spec.values import Flag, Number, UserPath, Whole, each_once, listed


def _rising(rungs: tuple[float, ...]) -> tuple[float, ...]:
    if list(rungs) != sorted(set(rungs)):
        raise ValueError("give each rung once, the smallest first")
    return rungs


Share = Annotated[Number, Field(gt=0, lt=1)]
"""A part of a whole, neither none nor all of it."""


class SchedulerSection(Section):
    """``search.scheduler``: at which rungs trials are paused, and who goes on from there."""

    name: Literal["none", "halving", "neighbours"] = "none"
    """``halving``: the best by non-dominated sorting, spread along the front, go on;
    ``neighbours``: those that the fewest of the students of like size, none larger, beat; ``none``:
    every trial is trained to its end."""
    rungs: Annotated[tuple[Share, ...], AfterValidator(_rising)] = Field(
        default=(1 / 9, 1 / 3), min_length=1
    )
    """Shares of a trial's epochs after which it is paused."""
    reduction: Number = Field(default=3.0, gt=1)
    """One in so many goes on at each rung."""
    neighbours: Whole = Field(default=8, ge=1)
    """With how many students, the nearest in size of those no larger, ``neighbours`` compares."""
    score: Literal["raw", "ema"] = "ema"
    """What is compared: the validation score of the student as it is (``raw``), or of the average
    of its latest weights (``ema``)."""


KnownSize = Literal["parameters", "macs", "bytes", "latency"]
"""What is known of a student's size before it is trained, and may be limited."""

MeasuredSize = Literal["compressed_bytes"]
"""What only the trained student tells."""

SizeName = Literal[KnownSize, MeasuredSize]
"""What a student's size may be measured by."""


class SearchSection(Section):
    """``search``: how many trials, proposed how, and what is weighed against which size."""

    trials: Whole = Field(default=50, ge=1)
    """Number of trials."""
    max_epochs: Whole | None = Field(default=None, ge=1)
    """No trial is begun that could bring the epochs of all trials above this number."""
    max_hours: Number | None = Field(default=None, gt=0)
    """Hours of wall clock, those before a resume included, after which no trial is begun."""
    max_device_hours: Number | None = Field(default=None, gt=0)
    """Hours of all trials' epochs together, times the GPUs (without any, the cores) of a trial,
    after which no trial is begun."""
    sampler: Literal["tpe", "nsga2", "gp", "random"] = "tpe"
    """Optuna's multi-objective TPE, NSGA-II, Gaussian processes, or random search."""
    warm_start: tuple[UserPath, ...] = ()
    """Folders of earlier studies, the members of whose fronts are tried first, after the published
    values."""
    deterministic: Flag | None = None
    """On: the same course at any speed and after any kill, for which a worker may have to wait;
    off: outcomes count as they come; absent: on with up to 32 trials at a time, on GPUs 8."""
    scheduler: SchedulerSection = SchedulerSection()
    """Which trials are paused on their way, and which go on."""
    objective: (
        Annotated[
            tuple[str, ...],
            BeforeValidator(listed),
            AfterValidator(each_once("metric")),
            Field(min_length=1),
        ]
        | None
    ) = None
    """The metric on validation that size is weighed against, or a list of several; gains and
    figures are of the first. Absent: ``accuracy``, of labels ``mean_average_precision``, of a
    value ``mae``, of several tasks their ``mean``."""
    size: Annotated[
        tuple[SizeName, ...], BeforeValidator(listed), AfterValidator(each_once("size"))
    ] = Field(default=("parameters",), min_length=1)
    """The size that the score is weighed against, or a list of several; tables and figures have the
    first. ``latency`` is measured on the machine that runs the study; ``compressed_bytes``, those
    of the shipped weights as archives compress them, after each epoch of a training."""
    require: dict[str, Number] = {}
    """What students must reach on validation to be members of the front, by metric: at least so
    much where higher is better, at most so much where lower is."""
    max_parameters: Whole | None = Field(default=None, ge=1)
    """Students with more parameters are never trained."""
    max_macs: Whole | None = Field(default=None, ge=1)
    """Students with more multiply-accumulates an image are never trained."""
    max_bytes: Whole | None = Field(default=None, ge=1)
    """Students whose weights take more bytes are never trained."""
    max_latency: Number | None = Field(default=None, gt=0)
    """Students that take more microseconds for an image are never trained."""

    @property
    def limits(self) -> dict[str, float]:
        """The largest size that a student may have, by the names of the sizes that are limited."""
        limits = {name: getattr(self, f"max_{name}") for name in get_args(KnownSize)}
        return {name: limit for name, limit in limits.items() if limit is not None}

    @property
    def measured(self) -> tuple[str, ...]:
        """The sizes that are measured of trained students."""
        return tuple(name for name in self.size if name in get_args(MeasuredSize))

    @property
    def measures_latency(self) -> bool:
        """Whether the search wants to know how long a student takes."""
        return "latency" in (*self.size, *self.limits)
