"""What quantization makes of finalists: their scores in 8 bits, and what these lose."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import moocore
import numpy as np

from kdsearch.problems import Metric
from kdsearch.results.finalists import Finalist, Interval, interval
from kdsearch.results.record import TrialRecord
from kdsearch.training.quantized import Int8

TOLERATED = 0.005
"""So much may be lost by quantization: half a point of a share, else half a per cent."""


def int8_columns(finalists: Sequence[Finalist]) -> list[dict[str, Any]]:
    """What the front's table says of each finalist after quantization.

    ``int8_loss`` is what its objective on the test is worse by, paired by seed;
    ``int8_loses_more`` whether that is clearly more than :data:`TOLERATED`; ``int8_front`` whether
    no other finalist's file is smaller and better, by the mean score on validation after
    quantization, since rankings may change; ``int8_reason`` why there is none.
    """
    front = _front(finalists)
    return [_columns(each, on_front) for each, on_front in zip(finalists, front, strict=True)]


def _columns(finalist: Finalist, on_front: bool) -> dict[str, Any]:
    name = finalist.objectives.score
    own, baseline = int8_scores(finalist.runs, name), int8_scores(finalist.baseline, name)
    loss = int8_loss(finalist)
    made = [run.int8 for run in finalist.runs if run.int8 is not None]
    sized = next((each for each in made if each.bytes), Int8())  # of one architecture all alike
    return {
        "onnx_bytes": sized.onnx_bytes,
        "int8_bytes": sized.bytes,
        f"int8_{name}": own.mean,
        f"int8_{name}_ci": own.half_width,
        f"baseline_int8_{name}": baseline.mean,
        f"baseline_int8_{name}_ci": baseline.half_width,
        "int8_loss": loss.mean,
        "int8_loss_ci": loss.half_width,
        "int8_loses_more": loses_more(finalist),
        "int8_front": on_front,
        "int8_reason": next((each.failure for each in made if each.failure), None),
    }


def int8_scores(runs: Sequence[TrialRecord], name: str, split: str = "test") -> Interval:
    """A score after quantization over the seeds that have it."""
    scores = [getattr(run.int8, split) for run in runs if run.int8 is not None]
    return interval([each[name] for each in scores if name in each])


def int8_loss(finalist: Finalist) -> Interval:
    """By how much the objective is worse on the test after quantization, paired by seed."""
    objectives, name = finalist.objectives, finalist.objectives.score
    return interval(
        [
            objectives.loss(run.int8.test) - objectives.loss(run.test)
            for run in finalist.runs
            if run.int8 is not None and run.test is not None and name in run.int8.test
        ]
    )


def loses_more(finalist: Finalist) -> bool:
    """Whether quantization costs clearly more than it should: by its whole interval, if any."""
    loss = int8_loss(finalist)
    if not loss.count:
        return False
    half = 0.0 if np.isnan(loss.half_width) else loss.half_width
    score = finalist.test(finalist.objectives.score).mean
    return bool(loss.mean - half > tolerated(finalist.objectives.metric, score))


def tolerated(metric: Metric, score: float) -> float:
    """What quantization may cost at a score."""
    return TOLERATED * (1.0 if metric.share else abs(score))


def _front(finalists: Sequence[Finalist]) -> list[bool]:
    """Which finalists are not beaten in 8 bits in score on validation and bytes."""
    places, points = [], []
    for place, finalist in enumerate(finalists):
        name, metric = finalist.objectives.score, finalist.objectives.metric
        score = int8_scores(finalist.runs, name, "validation")
        sizes = [run.int8.bytes for run in finalist.runs if run.int8 and run.int8.bytes]
        if score.count and sizes:
            places.append(place)
            points.append([metric.loss(score.mean), float(np.mean(sizes))])
    on_front = [False] * len(finalists)
    if points:
        kept = moocore.is_nondominated(np.array(points), keep_weakly=True)
        for place, keeps in zip(places, kept, strict=True):
            on_front[place] = bool(keeps)
    return on_front
