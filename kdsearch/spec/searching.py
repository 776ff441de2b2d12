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
    """Which trials go on from a rung. ``none``: all, since none is paused. ``halving``: the best by
    non-dominated sorting, spread along the front. ``neighbours``: those with the smallest error
    among students of similar size, none of them larger."""
    rungs: Annotated[tuple[Share, ...], AfterValidator(_rising)] = Field(
        default=(1 / 9, 1 / 3), min_length=1
    )
    """Shares of a trial's epochs after which it is paused."""
    reduction: Number = Field(default=3.0, gt=1)
    """At each rung one in so many trials goes on."""
    neighbours: Whole = Field(default=8, ge=1)
    """Number of students with which ``neighbours`` compares: the nearest in size that are no
    larger."""
    score: Literal["raw", "ema"] = "ema"
    """The validation score that rungs compare. ``raw``: that of the student as it is. ``ema``: that
    of the average of its latest weights."""


class LadderSection(Section):
    """``search.ladder``: how a ladder of sizes is built, by the strategy of that name."""

    round: Whole = Field(default=8, ge=1)
    """Length of a round, in whole trainings."""
    settings: Share = 0.4
    """Share of the epochs of the first round for the settings: all that is searched beside widths
    and depths, on one student of middle width and depth of each entry of ``students``. Later rounds
    give them half of it."""
    chains: bool = True
    """Whether students are cut from wider ones; else each is trained in full."""
    factor: Number = Field(default=1.3, gt=1)
    """By how much each student of a chain is at most narrower than the one that it is cut from."""
    link: Share = 0.33
    """Share of ``training.epochs`` for which a student is trained that was cut from another."""

    def shortened(self, epochs: int) -> int:
        """Epochs of a training that is shortened to a link of a chain, by those of a whole one."""
        return max(round(epochs * self.link), 1)


KnownSize = Literal["parameters", "macs", "bytes", "latency", "int8_bytes", "int8_latency"]
"""What is known of a student's size before it is trained, and may be limited."""

FILE_SIZES = ("latency", "int8_bytes", "int8_latency")
"""Sizes of the ONNX files of an architecture, which are made to be measured."""

TIMED_SIZES = ("latency", "int8_latency")
"""Sizes that are times."""

MeasuredSize = Literal["compressed_bytes"]
"""What only the trained student tells."""

SizeName = Literal[KnownSize, MeasuredSize]
"""What a student's size may be measured by."""


class SearchSection(Section):
    """``search``: how many trials, proposed how, and what is weighed against which size."""

    strategy: Literal["optuna", "ladder"] = "optuna"
    """How students are found. ``optuna``: all parameters are searched at once. ``ladder``: settings
    first, on students of middle size; then chains of sizes, each student cut from its wider
    neighbour and trained for a part of the epochs."""
    ladder: LadderSection = LadderSection()
    """How a ladder is built."""
    trials: Whole = Field(default=50, ge=1)
    """Number of trials of the search. With ``ladder``: it takes at most the epochs of so many."""
    max_epochs: Whole | None = Field(default=None, ge=1)
    """Largest number of epochs of all trials together. Absent: no limit."""
    max_hours: Number | None = Field(default=None, gt=0)
    """Hours of wall clock after which no trial is begun. Those before a resume count. Absent: no
    limit."""
    max_device_hours: Number | None = Field(default=None, gt=0)
    """Device hours after which no trial is begun: the hours of all trials' epochs, times the GPUs
    of a trial or, without any, its cores. Absent: no limit."""
    sampler: Literal["tpe", "nsga2", "gp", "random"] = "tpe"
    """Optuna's multi-objective TPE, NSGA-II, Gaussian processes, or random search."""
    warm_start: tuple[UserPath, ...] = ()
    """Folders of earlier studies. The members of their fronts are tried first."""
    deterministic: Flag | None = None
    """``true``: the search takes the same course at any speed and after any interruption, for which
    a worker may have to wait. ``false``: outcomes count as soon as they are there. Absent: ``true``
    with up to 32 trials at a time on cores, or 8 on GPUs."""
    scheduler: SchedulerSection = SchedulerSection()
    """Which trials are paused before their end, and which of them go on."""
    objective: (
        Annotated[
            tuple[str, ...],
            BeforeValidator(listed),
            AfterValidator(each_once("metric")),
            Field(min_length=1),
        ]
        | None
    ) = None
    """The validation metrics that are weighed against size. Gains and figures are of the first.
    Absent: ``accuracy`` for a class, ``mean_average_precision`` for labels, ``mae`` for a value,
    ``mean`` for several tasks."""
    size: Annotated[
        tuple[SizeName, ...], BeforeValidator(listed), AfterValidator(each_once("size"))
    ] = Field(default=("parameters",), min_length=1)
    """The sizes that the metric is weighed against. Tables and figures go by the first. ``latency``
    is measured as the section of that name says. ``int8_bytes`` and ``int8_latency`` are those of
    the ONNX file that is quantized to 8 bits. ``compressed_bytes`` are those of the shipped weights
    in an archive, measured after each epoch."""
    require: dict[str, Number] = {}
    """What a student must reach on validation to be a member of the front, by metric: at least this
    where higher is better, at most this where lower is."""
    max_parameters: Whole | None = Field(default=None, ge=1)
    """Students with more parameters are never trained. Absent: no limit."""
    max_macs: Whole | None = Field(default=None, ge=1)
    """Students with more multiply-accumulates a sample are never trained. Absent: no limit."""
    max_bytes: Whole | None = Field(default=None, ge=1)
    """Students whose weights take more bytes are never trained. Absent: no limit."""
    max_latency: Number | None = Field(default=None, gt=0)
    """Students that take more microseconds for a sample are never trained. Absent: no limit."""
    max_int8_bytes: Whole | None = Field(default=None, ge=1)
    """Students whose quantized ONNX file takes more bytes are never trained. Absent: no limit."""
    max_int8_latency: Number | None = Field(default=None, gt=0)
    """Students that take more microseconds for a sample in 8 bits are never trained. Absent: no
    limit."""

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
        """Whether the search wants to know how long a student takes, as it is or in 8 bits."""
        return any(name in TIMED_SIZES for name in self.of_files)

    @property
    def of_files(self) -> tuple[str, ...]:
        """The sizes of ONNX files that the search wants to know."""
        return tuple(name for name in FILE_SIZES if name in (*self.size, *self.limits))
