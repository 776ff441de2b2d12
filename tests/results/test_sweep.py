"""The configurations from which a baseline is tuned: where they lie, and who of them goes on."""

from __future__ import annotations

import numpy as np
import pytest

from kdsearch.results.judging import Judging
from kdsearch.results.sweep import sweep_epochs, sweep_points
from kdsearch.spec import StudySpec, parse_spec
from tests.records import trial
from tests.results.judged import (
    EPOCHS,
    SEARCHED,
    judged,
    members,
    quality,
    search_of,
    searched_values,
    spec_of,
)


@pytest.fixture
def spec(spec_text: str) -> StudySpec:
    return spec_of(spec_text)


def test_a_sweep_lies_in_the_box_of_the_search_and_spreads_over_it(spec: StudySpec) -> None:
    drawn = np.array(sweep_points(spec, 32))
    assert not drawn[:, 2].any()  # the smoothing, which is not searched
    points = np.log10(drawn[:, :2])
    low, high = np.log10([0.02, 1e-5]), np.log10([0.2, 1e-3])
    units = (points - low) / (high - low)
    assert units.shape == (32, 2)
    assert ((units >= 0) & (units <= 1)).all()
    # each eighth of both axes has points, which 32 random ones miss more often than not
    for axis in units.T:
        assert set((axis * 8).astype(int)) == set(range(8))
    assert abs(np.corrcoef(units.T)[0, 1]) < 0.3
    assert sweep_points(spec, 32)[:5] == sweep_points(spec, 5)


def test_choices_steps_and_fixed_values_are_kept(spec_text: str) -> None:
    given = ["training.lr={choices: [0.1, 0.2]}", "training.weight_decay=0.003"]
    points = sweep_points(parse_spec(spec_text, given), 20)
    assert sorted(points) == [(0.1, 0.003, 0.0), (0.2, 0.003, 0.0)]
    stepped = parse_spec(spec_text, ["training.lr={low: 0.1, high: 0.3, step: 0.1}"])
    rates = sorted({rate for rate, *_ in sweep_points(stepped, 50)})
    assert rates == pytest.approx([0.1, 0.2, 0.3])
    even = parse_spec(spec_text, ["training.lr={low: 0.0001, high: 0.9999}"])
    assert np.mean([rate for rate, *_ in sweep_points(even, 64)]) == pytest.approx(0.5, abs=0.05)


def test_a_searched_smoothing_is_a_third_axis_of_the_sweep(spec_text: str) -> None:
    box = ["training.label_smoothing={low: 0.0, high: 0.4}"]
    points = np.array(sweep_points(parse_spec(spec_text, box), 64))
    assert set((points[:, 2] * 20).astype(int)) == set(range(8))
    correlations = np.corrcoef(np.log10(points[:, 0]), points[:, 2])
    assert abs(correlations[0, 1]) < 0.3


def test_other_studies_have_other_points(spec: StudySpec) -> None:
    other = spec.model_copy(update={"study": spec.study.model_copy(update={"seed": 77})})
    assert not set(sweep_points(spec, 9)) & set(sweep_points(other, 9))


def test_a_baseline_is_tuned_from_as_many_configurations_as_the_method_had(
    spec: StudySpec,
) -> None:
    judging = Judging(spec, members(), SEARCHED, {})
    first, second = judging.baselines.sweeps.values()
    # 11 trials of kd and 5 of dist, and the finalist's own rate and decay
    assert (len(first.trainings), len(second.trainings)) == (12, 6)
    for sweep, member in zip((first, second), members(), strict=False):
        tried = [searched_values(t.task) for t in sweep.trainings]
        assert searched_values(member.task) == tried[0]
        assert set(sweep_points(spec, len(tried) - 1)) == set(tried[1:])
        assert {t.task.method.label for t in sweep.trainings} == {"none"}
    few = Judging(spec, members()[:1], search_of(kd=1), {})
    assert [len(sweep.trainings) for sweep in few.baselines.sweeps.values()] == [3]


def test_every_third_goes_on_from_a_rung_and_the_best_on_validation_is_chosen(
    spec: StudySpec,
) -> None:
    known = judged(spec)
    judging = Judging(spec, members(), SEARCHED, known)
    finalists = judging.finalists(known)
    for finalist, sweep in zip(finalists, judging.baselines.sweeps.values(), strict=False):
        swept = [known[each.key] for each in sweep.trainings]
        best = sorted(swept, key=quality, reverse=True)
        reached = [len(record.epochs) for record in best]
        many = len(best)
        assert reached == [9] * max(1, many // 9) + [3] * (many // 3 - max(1, many // 9)) + [1] * (
            many - many // 3
        )
        assert sum(reached) == sweep.epochs == sweep_epochs(many, 9, spec.search.scheduler)
        tuned = {r.task.training.model_dump_json() for r in finalist.baseline}
        assert tuned == {best[0].task.training.model_dump_json()}
        assert len(finalist.runs) == len(finalist.baseline) == spec.finalists.seeds
        for name in ("seed", "views_seed", "model"):
            own = [getattr(run.task, name) for run in finalist.runs]
            assert own == [getattr(run.task, name) for run in finalist.baseline]


def test_what_is_chosen_follows_the_objective(spec: StudySpec) -> None:
    """Of two configurations one has the better accuracy, the other the better likelihood."""
    chosen = {}
    for objective in ("accuracy", "nll"):
        search = spec.search.model_copy(update={"objective": (objective,)})
        other = spec.model_copy(update={"search": search})
        judging = Judging(other, members()[:1], search_of(kd=1), {})
        (sweep,) = judging.baselines.sweeps.values()
        known = {}
        for place, each in enumerate(sweep.trainings):
            record = trial(each.number, 0.5, 10).model_copy(update={"task": each.task})
            score = {"accuracy": 0.1 * place, "nll": 1.0 + 0.1 * place}
            both = score | {f"averaged_{name}": value for name, value in score.items()}
            known[each.key] = record.model_copy(update={"epochs": (both,) * EPOCHS})
        best = sweep.best(known)
        chosen[objective] = [each.task for each in sweep.trainings].index(best)
    assert chosen == {"accuracy": 2, "nll": 0}
