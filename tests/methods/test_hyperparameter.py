"""When a term counts."""

import pytest

from kdsearch.methods.hyperparameter import schedule_factor
from kdsearch.methods.kd import KD


@pytest.mark.parametrize(
    ("start", "ramp", "decay", "progress", "expected"),
    [
        (0.0, 0.0, 0.0, 0.0, 1.0),
        (0.0, 0.25, 0.0, 0.0, 0.0),
        (0.0, 0.25, 0.0, 0.1, 0.4),
        (0.0, 0.25, 0.0, 0.25, 1.0),
        (0.0, 0.25, 0.0, 0.9, 1.0),
        (0.5, 0.0, 0.0, 0.49, 0.0),
        (0.5, 0.0, 0.0, 0.5, 1.0),
        (0.5, 0.2, 0.0, 0.6, 0.5),
        (0.0, 0.0, 1.0, 0.25, 0.75),
        (0.0, 0.0, 0.5, 1.0, 0.5),
        (0.2, 0.4, 0.5, 0.4, 0.4),
    ],
)
def test_start_then_ramp_times_decay(start, ramp, decay, progress, expected):
    values = {"start": start, "ramp": ramp, "decay": decay}
    assert schedule_factor(values, progress) == pytest.approx(expected)


def test_every_term_has_the_schedule_without_effect(student_shapes):
    plain = KD(student_shapes, student_shapes)
    assert [plain.factor(progress) for progress in (0.0, 0.5, 1.0)] == [0.9] * 3
    late = KD(student_shapes, student_shapes, weight=2.0, start=0.5, decay=1.0)
    assert [late.factor(progress) for progress in (0.0, 0.5, 1.0)] == [0.0, 1.0, 0.0]
