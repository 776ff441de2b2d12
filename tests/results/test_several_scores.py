"""Several scores at once: the front, the volume and what Optuna is told, against brute force."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.study import StudyDirection

from kdsearch.errors import SpecError
from kdsearch.results.front import hypervolume, near_front, pareto_front
from kdsearch.results.objectives import Objectives
from kdsearch.results.record import TrialRecord
from kdsearch.search.optuna_study import make_optuna_study, values
from kdsearch.spec import parse_spec
from tests.records import trial

OBJECTIVES = Objectives(score="accuracy", more={"nll": 2.0})
POINTS = st.lists(
    st.tuples(
        st.sampled_from([0.2, 0.5, 0.9]), st.sampled_from([0.3, 1.0, 1.8]), st.integers(1, 30)
    ),
    min_size=1,
    max_size=9,
)
Point = tuple[float, float, int]


def records_of(points: list[Point]) -> list[TrialRecord]:
    found = []
    for number, (accuracy, nll, size) in enumerate(points):
        record = trial(number, accuracy, size)
        last = {**record.epochs[-1], "nll": nll}
        epochs = (*record.epochs[:-1], last)
        found.append(record.model_copy(update={"epochs": epochs}))
    return found


@given(POINTS)
def test_the_front_is_what_none_beats_in_scores_and_size(points: list[Point]) -> None:
    def beaten(one: Point) -> bool:
        return any(
            other != one and other[0] >= one[0] and other[1] <= one[1] and other[2] <= one[2]
            for other in points
        )

    members = pareto_front(records_of(points), OBJECTIVES)
    found = {(m.scores["accuracy"], m.scores["nll"], m.parameter_count) for m in members}
    assert found == {each for each in points if not beaten(each)}


@given(POINTS)
def test_the_volume_is_the_share_of_the_box_that_is_dominated(points: list[Point]) -> None:
    """By counting the cells of a grid that has an edge at every point."""
    largest = 30
    corners = np.array([[1 - a, np.log(s) / np.log(largest), n / 2.0] for a, n, s in points])
    edges = [np.unique(np.append(corners[:, axis], [0.0, 1.0])) for axis in range(3)]
    lows = np.stack(np.meshgrid(*(each[:-1] for each in edges), indexing="ij"), axis=-1)
    cells = np.stack(np.meshgrid(*map(np.diff, edges), indexing="ij"), axis=-1).prod(axis=-1)
    inside = (corners[:, None, None, None] <= lows + 1e-12).all(axis=-1).any(axis=0)
    expected = float(cells[inside].sum())
    assert hypervolume(records_of(points), OBJECTIVES, [largest]) == pytest.approx(expected)


def test_a_trial_that_is_worse_by_the_second_score_is_no_rival() -> None:
    records = records_of([(0.9, 1.8, 10), (0.89, 0.3, 10), (0.89, 1.8, 10), (0.5, 1.8, 10)])
    alone = Objectives(score="accuracy")
    members, alone_members = (pareto_front(records, each) for each in (OBJECTIVES, alone))
    assert [[each.number for each in found] for found in (members, alone_members)] == [[0, 1], [0]]
    near = [
        near_front(records, found, each, 100)
        for found, each in ((members, OBJECTIVES), (alone_members, alone))
    ]
    assert [[each.number for each in found] for found in near] == [[2], [1, 2]]


def test_optuna_is_told_every_score_in_its_direction() -> None:
    study = make_optuna_study(OBJECTIVES)
    up, down = StudyDirection.MAXIMIZE, StudyDirection.MINIMIZE
    assert study.directions == [up, down, down]
    assert study.metric_names == ["validation accuracy", "log10 parameters", "validation nll"]
    (record,) = records_of([(0.5, 0.3, 10)])
    assert values(record, OBJECTIVES) == [0.5, pytest.approx(1.0), 0.3]


def test_a_spec_may_name_several(spec_text: str) -> None:
    spec = parse_spec(spec_text, ["search.objective=[nll, agreement]"])
    found = Objectives.of(spec)
    assert (found.score, list(found.more)) == ("nll", ["agreement"])
    with pytest.raises(SpecError, match="give each metric once"):
        parse_spec(spec_text, ["search.objective=[nll, nll]"])
    with pytest.raises(SpecError, match="unknown metric 'nlll'"):
        Objectives.of(parse_spec(spec_text, ["search.objective=[accuracy, nlll]"]))
