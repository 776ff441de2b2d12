"""Why a student is picked, in a line."""

from __future__ import annotations

from typing import Any

import pytest

from kdsearch.render.pick import pick_lines
from kdsearch.results.limits import Limits
from kdsearch.results.pick import pick
from tests.render.test_front import judged, summary_of

SCORES = {"accuracy": 0.9, "nll": 0.4, "ece": 0.03}


def reason(limits: Limits, *labels: str) -> str:
    finalists = [judged(number, label, None, SCORES) for number, label in enumerate(labels)]
    content: dict[str, Any] = summary_of(*finalists)
    content |= {"size_names": ["parameters"], "teacher": None}
    return dict(pick_lines(content, pick(content, limits), "studies/x", limits))["chosen"]


@pytest.mark.parametrize(
    ("limits", "labels", "told"),
    [
        (Limits(), ("none",), "it is the only finalist"),
        (
            Limits(most={"parameters": 1500}),
            ("none", "kd"),
            "the only one of 2 finalists that keeps the limits",
        ),
        (
            Limits(most={"parameters": 2500}),
            ("none", "kd", "kd"),
            "among the 2 of 3 finalists that keep the limits",
        ),
    ],
)
def test_the_reason_counts_who_was_left_to_pick_from(
    limits: Limits, labels: tuple[str, ...], told: str
) -> None:
    assert reason(limits, *labels).endswith(told)
