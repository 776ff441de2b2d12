"""``finalists``."""

from __future__ import annotations

from pydantic import Field

from kdsearch.spec.base import Section
from kdsearch.spec.values import Flag, Number, Whole


class FinalistsSection(Section):
    """``finalists``: how the members of the front are judged."""

    seeds: Whole = Field(default=3, ge=2)
    """Trainings of every finalist and of its undistilled baseline, each with its own seed."""
    max: Whole = Field(default=8, ge=1)
    """Largest number of finalists. They are spread evenly along the front."""
    share: Number | None = Field(default=None, gt=0)
    """What finalists and baselines may cost together, as a share of the predicted cost of the
    search. Fewer finalists are judged where it is not enough, but always one. Absent: no limit."""
    latency: Flag = True
    """Whether latency and memory of every finalist and of the teacher are measured at the end, when
    nothing else of the study runs."""
    int8: Flag = True
    """Whether every training of a finalist and of its baseline is quantized to 8 bits after its
    end, and scored as onnxruntime runs it."""
