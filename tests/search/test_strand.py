"""What could be trained next of a chain, and what it is expected to reach."""

from __future__ import annotations

import math

import numpy as np
import pytest

from kdsearch.results.objectives import Objectives
from kdsearch.results.record import TrialRecord
from kdsearch.search.strand import Step, Strand
from kdsearch.space.chains import Chain
from tests.records import trial

SIZES = (6_000, 3_000, 1_500, 700, 300, 150, 60)
OBJECTIVES = Objectives()


LINK = 4


def strand_of(link: int | None = LINK, **accuracies: float) -> Strand:
    """One whose students of some places are trained: ``at_3=0.9``."""
    students = [trial(place, 0.5, size) for place, size in enumerate(SIZES)]
    chain = Chain("convnet", 2, tuple(1 / (place + 1) for place in range(len(SIZES))))
    found = Strand(chain, students, link)
    for name, accuracy in accuracies.items():
        place = int(name.removeprefix("at_"))
        found.done[place] = trial(place, accuracy, SIZES[place])
    return found


def steps(strand: Strand) -> set[tuple[int | None, int]]:
    return {(step.parent, step.place) for step in strand.steps()}


def test_it_begins_in_the_middle_and_goes_both_ways() -> None:
    assert steps(strand_of()) == {(None, 3)}
    assert steps(strand_of(at_3=0.9)) == {(None, 0), (3, 5)}
    assert steps(strand_of(at_3=0.9, at_5=0.8)) == {(None, 0), (3, 4), (5, 6)}
    assert steps(strand_of(at_0=0.95, at_3=0.9)) == {(0, 1), (3, 5)}
    assert steps(strand_of(at_0=0.95, at_6=0.4)) == {(0, 2)}
    everything = strand_of(**{f"at_{place}": 0.9 for place in range(len(SIZES))})
    assert steps(everything) == set()


def test_what_is_trained_or_failed_is_no_step() -> None:
    strand = strand_of(at_3=0.9)
    strand.running.add(5)
    strand.failed.add(0)
    assert steps(strand) == set()
    strand = strand_of(at_3=0.9)
    strand.students[5] = None  # type: ignore[index]
    assert steps(strand) == {(None, 0)}


def test_students_that_cannot_be_cut_are_trained_in_full_in_the_same_order() -> None:
    assert steps(strand_of(None)) == {(None, 3)}
    assert steps(strand_of(None, at_3=0.9)) == {(None, 0), (None, 5)}
    assert steps(strand_of(None, at_0=0.95, at_3=0.9)) == {(None, 1), (None, 5)}
    whole = strand_of(None).students[0].task.training.epochs  # type: ignore[union-attr]
    assert strand_of(None, at_3=0.9).epochs(Step(None, 5)) == whole
    assert strand_of(at_3=0.9).epochs(Step(None, 0)) == whole
    assert strand_of(at_3=0.9).epochs(Step(3, 5)) == LINK < whole


def test_it_begins_with_the_student_nearest_the_middle_that_there_can_be() -> None:
    strand = strand_of()
    for place in (0, 2, 3):
        strand.students[place] = None  # type: ignore[index]
    assert steps(strand) == {(None, 4)}
    strand.done[4] = trial(4, 0.9, SIZES[4])
    assert steps(strand) == {(None, 1), (4, 6)}
    for place in range(len(SIZES)):
        strand.students[place] = None  # type: ignore[index]
    assert steps(strand) == set()


def test_the_way_ahead_ends_at_what_is_done() -> None:
    strand = strand_of(at_3=0.9)
    assert strand.path(Step(None, 0)) == [0, 2]
    assert strand.path(Step(3, 5)) == [5]
    assert strand_of(at_0=0.9).path(Step(0, 2)) == [2, 4, 6]


@pytest.mark.parametrize("score", [0.6, 0.9])
def test_losses_lie_on_lines_over_log_parameters(score: float) -> None:
    strand = strand_of(at_1=0.9, at_3=score)
    logs = [math.log(SIZES[1]), math.log(SIZES[3])]
    slope = (0.1 - (1 - score)) / (logs[0] - logs[1])
    for place in (0, 2, 4, 6):
        ((loss, size),) = strand.expected([place], OBJECTIVES)
        line = 0.1 + slope * (math.log(SIZES[place]) - logs[0])
        assert loss == pytest.approx(max(line, 0.0))
        assert size == pytest.approx(math.log10(SIZES[place]))


def test_a_smaller_student_is_not_expected_to_be_better() -> None:
    strand = strand_of(at_1=0.8, at_3=0.9)  # the smaller one happened to be better
    expected = strand.expected([0, 4, 6], OBJECTIVES)
    assert expected[:, 0] == pytest.approx([0.2, 0.1, 0.1])
    alone = strand_of(at_3=0.9).expected([0, 5], OBJECTIVES)
    assert alone[:, 0] == pytest.approx([0.1, 0.1])


def test_a_size_that_is_only_measured_goes_with_parameters() -> None:
    def measured(record: TrialRecord, size: float) -> TrialRecord:
        epoch = {**record.epochs[-1], "compressed_bytes": size}
        return record.model_copy(update={"epochs": (epoch,)})

    strand = strand_of(at_3=0.9)
    strand.done[3] = measured(strand.done[3], 2_100.0)
    objectives = Objectives(sizes=("compressed_bytes",))
    ((_, size),) = strand.expected([5], objectives)
    assert 10**size == pytest.approx(2_100 * SIZES[5] / SIZES[3])
    assert np.isfinite(size)
