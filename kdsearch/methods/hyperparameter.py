"""Values that many methods share, and when a method's term counts."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from kdsearch.spec.hyperparameter import Hyperparameter
from kdsearch.spec.ranges import Range

WEIGHT_RANGE = Range(low=0.1, high=20.0, log=True)
"""Range of the weight of every logit term: the same for all, since gains of some published
methods are partly gains of weight."""

TEMPERATURE = Hyperparameter(
    4.0, Range(low=1.0, high=16.0, log=True), "softmax temperature", minimum=0.05
)


def share(about: str, default: float = 0.0) -> Hyperparameter:
    """A share in [0, 1], not searched unless the spec says so."""
    return Hyperparameter(default, None, about, maximum=1.0)


START = "share of the training before which the term is left out"
RAMP = "share of the training over which the term then rises linearly"
DECAY = "share of the term's weight that is lost linearly by the end"

SCHEDULE: Mapping[str, Hyperparameter] = MappingProxyType(
    {"start": share(START), "ramp": share(RAMP), "decay": share(DECAY)}
)
"""When a term counts: every method has these, by default without effect."""


def idle(values: Mapping[str, float]) -> str | None:
    """Why a schedule never lets its term count in full, or ``None`` if it does."""
    start, ramp = values["start"], values["ramp"]
    if start >= 1:
        return f"start {start:g} leaves the term out for the whole training; set it below 1"
    if start + ramp > 1:
        return (
            f"start {start:g} and ramp {ramp:g} go past the end of the training; let them add up "
            "to 1 at most"
        )
    return None


def schedule_factor(values: Mapping[str, float], progress: float) -> float:
    """What a term is multiplied by at ``progress``, the share of the training that is done.

    0 before ``start``; then min((progress − start) / ramp, 1), times 1 − decay · progress.
    """
    since = progress - values["start"]
    if since < 0:
        return 0.0
    ramp = values["ramp"]
    risen = min(since / ramp, 1.0) if ramp > 0 else 1.0
    return risen * (1.0 - values["decay"] * progress)
