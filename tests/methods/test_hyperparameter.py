"""When a term counts."""

import pytest

from kdsearch.errors import MethodError
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


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"start": 1.0}, "start 1 leaves the term out for the whole training"),
        ({"start": 0.9, "ramp": 0.5}, "start 0.9 and ramp 0.5 go past the end"),
    ],
)
def test_a_schedule_that_never_counts_in_full_is_refused(student_shapes, values, words):
    with pytest.raises(MethodError, match=f"kd: {words}"):
        KD(student_shapes, student_shapes, **values)
    assert KD(student_shapes, student_shapes, start=0.6, ramp=0.4).factor(1.0) == 0.9
