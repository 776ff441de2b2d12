"""Several tasks side by side: places in the output, units, names of metrics, the mean."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from kdsearch.errors import SpecError
from kdsearch.problems import Head, Problem, find_metric
from kdsearch.problems.head import natural, side_by_side, spread_of
from kdsearch.spec import parse_spec

HEADS = side_by_side(
    [
        Head("digit", "class", tuple("abc")),
        Head("tags", "labels", ("red", "large")),
        Head("ink", "value", ("ink",), mean=30.0, std=5.0),
    ]
)
OUTPUTS = torch.arange(24.0).reshape(4, 6)
TASKS = "problem.tasks={digit: class, parity: class, ink: value}"


def targets() -> dict[str, torch.Tensor]:
    return {
        "digit": torch.tensor([2, -1, 2, 0]),
        "tags": torch.tensor([[1.0, 0.0], [torch.nan] * 2, [torch.nan, 1.0], [1.0, 1.0]]),
        "ink": torch.tensor([30.0, 31.0, torch.nan, 33.0]),
    }


def test_each_task_has_its_columns() -> None:
    assert [head.start for head in HEADS] == [0, 3, 5]
    parts = [head.of(OUTPUTS) for head in HEADS]
    assert torch.equal(torch.cat(parts, dim=1), OUTPUTS)
    assert parts[1].shape == (4, 2)


def test_values_are_told_in_their_own_unit() -> None:
    ink = HEADS[2]
    expected = np.array([5.0, 11.0, 17.0, 23.0]) * 5 + 30
    assert ink.natural(OUTPUTS).tolist() == expected.tolist()
    values = torch.tensor([27.0, 41.0])
    assert torch.equal(ink.standardised(values) * 5 + 30, values)
    whole = natural(HEADS, OUTPUTS)
    assert torch.equal(whole[:, :5], OUTPUTS[:, :5])
    assert whole[:, 5].tolist() == expected.tolist()


def test_samples_without_the_target_are_left_out() -> None:
    problem = Problem(heads=HEADS)
    found = problem.predictions(OUTPUTS, targets(), OUTPUTS + 1)
    assert found["digit"].targets.tolist() == [2, 2, 0]
    assert torch.equal(found["digit"].outputs, OUTPUTS[[0, 2, 3], :3])
    assert len(found["tags"].targets) == 3
    assert found["ink"].targets.tolist() == [30.0, 31.0, 33.0]
    assert found["ink"].reference is not None
    assert found["ink"].reference.tolist() == [60.0, 90.0, 150.0]


def test_the_spread_is_of_the_values_that_are_there() -> None:
    assert spread_of(torch.tensor([1.0, torch.nan, 3.0])) == (2.0, 1.0)
    assert spread_of(torch.tensor([4.0, 4.0])) == (4.0, 1.0)


def test_scores_are_those_of_each_task_and_their_mean(spec_text: str) -> None:
    problem = Problem.of(parse_spec(spec_text, [TASKS])).with_heads(
        [
            Head("digit", "class", tuple("abc")),
            Head("parity", "class", ("even", "odd")),
            Head("ink", "value", ("ink",), mean=30.0, std=5.0),
        ]
    )
    generator = torch.Generator().manual_seed(0)
    outputs = torch.randn(50, 6, generator=generator)
    of = {
        "digit": torch.randint(3, (50,), generator=generator),
        "parity": torch.randint(2, (50,), generator=generator),
        "ink": 30 + 5 * torch.randn(50, generator=generator),
    }
    predictions = problem.predictions(outputs, of)
    scores = problem.scores(predictions)
    digit = float((outputs[:, :3].argmax(dim=1) == of["digit"]).double().mean())
    error = (outputs[:, 5] * 5 + 30 - of["ink"]).double()
    r2 = 1 - float((error**2).sum() / ((of["ink"] - of["ink"].mean()).double() ** 2).sum())
    assert scores["digit/accuracy"] == pytest.approx(digit)
    assert scores["ink/mae"] == pytest.approx(float(error.abs().mean()), rel=1e-5)
    expected = (digit + scores["parity/accuracy"] + r2) / 3
    assert scores["mean"] == pytest.approx(expected, rel=1e-4)
    assert problem.objective == "mean"
    assert 0 < problem.error(predictions, 50)["mean_error"] < 0.4


def test_the_error_of_the_mean_is_found_on_common_draws() -> None:
    """Two tasks with one answer have the error of one."""
    one = Head("one", "class", ("a", "b"))
    twice = Problem().with_heads([one, Head("two", "class", ("a", "b"))])
    logits = torch.randn(80, 2, generator=torch.Generator().manual_seed(3))
    labels = torch.arange(80) % 2
    outputs = torch.cat([logits, logits], dim=1)
    found = Problem(heads=twice.heads).error(
        twice.predictions(outputs, {"one": labels, "two": labels}), 80
    )
    alone = Problem().with_heads([one]).predictions(logits, {"one": labels})["one"]
    assert found["mean_error"] == pytest.approx(find_metric("accuracy").bootstrap(alone))


def test_a_metric_is_told_with_its_task() -> None:
    metric = find_metric("ink/mae")
    assert (metric.name, metric.title, metric.better) == ("ink/mae", "ink MAE", "lower")
    assert metric.gain_unit == "ink MAE"
    assert metric.shown == "wide"
    assert find_metric("ink/r2").shown == "never"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["search.objective=accuracy"], r"say of which task 'accuracy' is: digit/accuracy"),
        (["search.objective=ink/accuracy"], "accuracy judges one class, and 'ink' is a value"),
        (["search.require={inc/mae: 3}"], "there is no task 'inc'; did you mean 'ink'"),
        (["search.objective=digit/mean"], "unknown metric 'digit/mean'; write TASK/METRIC"),
        (["search.objective=digit/digit/accuracy"], "write TASK/METRIC, or mean"),
        (["problem.metrics=[digit/acuracy]"], "did you mean 'accuracy'"),
    ],
)
def test_metrics_of_other_tasks_are_refused(
    spec_text: str, changes: list[str], message: str
) -> None:
    with pytest.raises(SpecError, match=message):
        Problem.of(parse_spec(spec_text, [TASKS, *changes]))


@pytest.mark.parametrize(
    ("tasks", "objective", "message"),
    [
        ("{ink: value}", "ink/mae", "there is one task; write mae"),
        ("{ink: value}", "mean", "is a mean over tasks, and there is one"),
        ("{ink: value}", "accuracy", "choose one of mae, rmse, r2, teacher_mae"),
        ("{tags: labels}", "mae", "mae judges a value, and 'tags' is labels"),
    ],
)
def test_metrics_of_another_kind_are_refused(
    spec_text: str, tasks: str, objective: str, message: str
) -> None:
    with pytest.raises(SpecError, match=message):
        Problem.of(
            parse_spec(spec_text, [f"problem.tasks={tasks}", f"search.objective={objective}"])
        )


@pytest.mark.parametrize(
    ("tasks", "objective"),
    [("{ink: value}", "mae"), ("{tags: labels}", "mean_average_precision"), ("{}", "accuracy")],
)
def test_each_kind_has_its_own_objective(spec_text: str, tasks: str, objective: str) -> None:
    assert Problem.of(parse_spec(spec_text, [f"problem.tasks={tasks}"])).objective == objective


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("{mean: class, ink: value}", "'mean' cannot name a task"),
        ("{a/b: class, ink: value}", "'a/b' cannot name a task"),
        ("{ink: number}", "class.*labels.*value"),
        ("{ink: {kind: value, weight: 2}}", "the one task ink needs no weight"),
        ("{digit: class, ink: {kind: value, weight: 0}}", "must be above 0, not 0"),
    ],
)
def test_tasks_that_cannot_be_are_refused(spec_text: str, change: str, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        parse_spec(spec_text, [f"problem.tasks={change}"])


def test_a_weight_that_is_learnt_is_not_given(spec_text: str) -> None:
    tasks = "problem.tasks={digit: class, ink: {kind: value, weight: 2}}"
    with pytest.raises(SpecError, match="learns the weight of ink"):
        parse_spec(spec_text, [tasks, "problem.weighting=uncertainty"])
    with pytest.raises(SpecError, match="weighting is for several tasks"):
        parse_spec(spec_text, ["problem.weighting=uncertainty"])


def test_a_share_of_the_samples_that_have_the_target_has_their_error() -> None:
    head = Head("kind", "class", ("a", "b"), named=True)
    problem = Problem(heads=(head,))
    labels = torch.tensor([0, 1, -1, -1, 1, -1, 0, -1])
    outputs = torch.eye(2)[[0, 0, 0, 0, 1, 1, 0, 1]]
    predictions = problem.predictions(outputs, {"kind": labels})
    assert problem.scores(predictions)["accuracy"] == 0.75
    error = problem.error(predictions, 8)["accuracy_error"]
    assert error == pytest.approx((0.75 * 0.25 / 4) ** 0.5)
    assert problem.error(predictions, 4) == {}


def test_few_samples_have_the_scores_that_they_can_have() -> None:
    value = Head("ink", "value", ("ink",))
    problem = Problem(heads=side_by_side([Head("kind", "class", ("a", "b")), value]), few=True)
    of = {"kind": torch.tensor([-1, -1]), "ink": torch.tensor([2.0, 2.0])}
    predictions = problem.predictions(torch.zeros(2, 3), of)
    scores = problem.scores(predictions)
    assert {"ink/mae", "ink/rmse"} <= scores.keys()
    assert not {"mean", "ink/r2", "kind/accuracy"} & scores.keys()
    assert problem.error(predictions, 2) == {}
