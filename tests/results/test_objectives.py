"""What is weighed: scores of either sense against several sizes, against brute force."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.study import StudyDirection
from optuna.trial import TrialState

from kdsearch.models import of_images
from kdsearch.results.front import hypervolume, pareto_front
from kdsearch.results.objectives import Objectives
from kdsearch.results.record import TrialRecord
from kdsearch.space.architectures import Architectures
from kdsearch.space.sizes import sized_record, within_limits
from kdsearch.spec import parse_spec
from kdsearch.spec.concrete import ModelConfig
from tests.records import TASK, trial
from tests.search.test_loop import drive, first, make_jobs

points = st.lists(
    st.tuples(st.sampled_from([0.2, 0.4, 0.6, 0.8]), st.integers(2, 9), st.integers(2, 9)),
    min_size=1,
    max_size=12,
)


def scored(number: int, nll: float, parameters: int, macs: int) -> TrialRecord:
    scores = {"epoch": 1, "seconds": 1.0, "accuracy": 0.5, "nll": nll, "agreement": 1 - nll}
    update = {"parameter_count": parameters, "macs": macs, "epochs": (scores,)}
    return trial(number, 0.5, 1).model_copy(update=update)


def dominated(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one != other and all(b <= a for a, b in zip(one, other, strict=True))


@given(points)
@pytest.mark.parametrize("score", ["nll", "agreement"])
def test_the_front_over_several_sizes_is_what_nothing_dominates(
    score: str, rows: list[tuple[float, int, int]]
) -> None:
    objectives = Objectives(score, ("parameters", "macs"))
    records = [scored(number, *row) for number, row in enumerate(rows)]
    found = {tuple(row) for row in objectives.costs(pareto_front(records, objectives)).tolist()}
    every = {tuple(row) for row in objectives.costs(records).tolist()}
    assert found == {one for one in every if not any(dominated(one, other) for other in every)}
    np.testing.assert_allclose(sorted({one[0] for one in every}), sorted({row[0] for row in rows}))


@given(points)
def test_the_hypervolume_over_several_sizes_is_that_of_a_sample(
    rows: list[tuple[float, int, int]],
) -> None:
    objectives = Objectives("nll", ("parameters", "macs"))
    records = [scored(number, *row) for number, row in enumerate(rows)]
    grid = (np.arange(40) + 0.5) / 40
    box = np.stack(np.meshgrid(grid, grid, grid), axis=-1).reshape(-1, 3)
    costs = np.array([[nll, *np.log10(sizes)] for nll, *sizes in rows])
    covered = np.any(np.all(costs[:, None] <= box[None], axis=2), axis=0).mean()
    assert hypervolume(records, objectives, (10, 10)) == pytest.approx(covered, abs=0.06)


def test_too_little_accuracy_counts_for_nothing() -> None:
    records = [trial(0, 0.5, 10), trial(1, 0.8, 100), trial(2, 0.7, 1000), trial(3, None, 1)]
    objectives = Objectives(require={"accuracy": 0.7})
    assert [each.number for each in pareto_front(records, objectives)] == [1]
    assert [each.number for each in objectives.counted(records)] == [1, 2]
    assert hypervolume(records, objectives, [10_000]) == hypervolume(
        records[1:2], Objectives(), [10_000]
    )


@pytest.mark.parametrize("sampler", ["tpe", "nsga2", "gp", "random"])
def test_optuna_hears_senses_sizes_and_constraints(spec_text: str, sampler: str) -> None:
    words = ["search.size=[parameters, macs]", "search.require={accuracy: 0.9}", "search.trials=16"]
    spec = parse_spec(spec_text, [*words, f"search.sampler={sampler}"])
    jobs, study = make_jobs(spec)
    ended = drive(jobs, 2, first)
    assert study.directions == [StudyDirection.MAXIMIZE, *[StudyDirection.MINIMIZE] * 2]
    told = [each for each in study.get_trials() if each.state == TrialState.COMPLETE]
    assert len(told) > 10
    for each in told:
        record = next(record for record in ended if record.parameters == each.params)
        sizes = np.log10([record.parameter_count, record.macs])
        np.testing.assert_allclose(each.values, [record.scores["accuracy"], *sizes])
        assert each.constraints == {"accuracy": pytest.approx(0.9 - record.scores["accuracy"])}
    assert {sum(each.constraints.values()) > 0 for each in told} == {True, False}


def test_a_likelihood_is_to_be_small(spec_text: str) -> None:
    _, study = make_jobs(parse_spec(spec_text, ["search.objective=nll"]))
    assert study.directions == [StudyDirection.MINIMIZE, StudyDirection.MINIMIZE]
    assert study.metric_names == ["validation nll", "log10 parameters"]


def test_latency_is_measured_once_an_architecture_and_limits_what_is_trained(
    spec_text: str,
) -> None:
    spec = parse_spec(spec_text, ["search.size=[latency, parameters]"])
    architectures = Architectures(of_images((1, 8, 8)), 10)

    def record(width: float) -> TrialRecord:
        model = ModelConfig(family="convnet", width=width, depth=3)
        task = TASK.model_copy(update={"model": model})
        return sized_record(architectures, spec, 0, "search", task)

    small, large = record(0.25), record(16)
    assert small.latency is not None
    assert large.latency is not None
    assert 1 < small.latency < large.latency
    assert record(0.25) == small
    between = (small.latency + large.latency) / 2
    search = spec.search.model_copy(update={"max_latency": between})
    assert within_limits(small, search)
    assert not within_limits(large, search)


def test_without_need_no_latency_is_measured(spec_text: str) -> None:
    spec = parse_spec(spec_text)
    found = sized_record(Architectures(of_images((1, 8, 8)), 10), spec, 0, "search", TASK)
    assert found.latency is None
    assert found.size("parameters") > 0
