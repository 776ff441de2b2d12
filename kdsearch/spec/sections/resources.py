"""``resources``."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from kdsearch.spec.base import Section
from kdsearch.spec.values import Flag, Number, Whole


def _one_gpu(share: float) -> float:
    if share > 1:
        raise ValueError(
            f"must be at most 1, not {share:g}: a trial is one process on one GPU; let "
            "concurrent trials share the others"
        )
    return share


class ResourcesSection(Section):
    """``resources``: what trainings may use of the machine or cluster."""

    concurrent: Whole = Field(default=2, ge=1)
    """Number of trials that run at a time."""
    cpus_per_trial: Whole = Field(default=1, ge=1)
    """CPU cores, and PyTorch threads, of a trial and of each worker of the teacher's training."""
    gpus_per_trial: Annotated[Number, AfterValidator(_one_gpu)] = Field(default=0.0, ge=0)
    """Share of a GPU that a trial has, up to 1. A worker of the teacher's training has a whole GPU
    if this is above 0."""
    loaders: Whole = Field(default=1, ge=0)
    """Processes of a trial that read images, where these do not fit in memory or on the GPU."""
    storage: str | None = None
    """Where paused and running trials are saved: a folder that all nodes share, or a URI such as
    ``s3://bucket/folder``. Absent: ``tune`` in the study's folder."""
    checkpoint_minutes: Number = Field(default=5.0, gt=0)
    """Minutes between two checkpoints of a running trial. Each is written after a whole epoch."""
    max_restarts: Whole = Field(default=3, ge=0)
    """How often a trial is resumed at the same checkpoint after its process, node or disk has
    failed. Then it counts as failed."""
    trial_timeout: Number | None = Field(default=None, gt=0)
    """Seconds after which an epoch of a trial is taken for hung, and the trial fails. Absent: six
    hours, or ten times the longest epoch before it in its process where that is more."""
    compile: Flag | None = None
    """Compile students of kdsearch's own families (``torch.compile``). Absent: on a GPU, in
    trainings of at least 10,000 steps."""

    @property
    def devices_per_trial(self) -> float:
        """What a trial's hours are counted by: its GPUs or, without any, its cores."""
        return self.gpus_per_trial or self.cpus_per_trial
