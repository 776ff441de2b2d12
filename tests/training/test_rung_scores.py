"""What a training says at a rung: the scores of its averaged weights, and nothing else changed."""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np
import pytest
import torch

from kdsearch.data import Dataset
from kdsearch.training.averaging import SHARE, exponent
from kdsearch.training.evaluation import evaluate
from kdsearch.training.programs import begin_training
from kdsearch.training.reports import EpochReport
from kdsearch.training.task import Task
from kdsearch.training.teacher import Teacher, plain_views
from kdsearch.training.trainer import Trainer
from tests.training.trainings import assert_same_weights, finish, through_a_file


def averaged_after(reports: list[EpochReport]) -> list[int]:
    return [report.epoch for report in reports if report.averaged is not None]


def test_a_rung_adds_scores_and_changes_nothing_else(
    digits: Dataset, make_task: Callable[..., Task], make_teacher: Callable[[], Teacher]
) -> None:
    task = make_task("kd", {"weight": 0.5}, epochs=4)
    plain, watched = Trainer(task, digits, make_teacher()), None
    watched = Trainer(task, digits, make_teacher(), rungs=(1, 3))
    expected, found = finish(plain), finish(watched)
    assert averaged_after(found) == [1, 3]
    assert averaged_after(expected) == []
    for one, other in zip(expected, found, strict=True):
        assert (one.loss, one.lr, one.scores) == (other.loss, other.lr, other.scores)
    assert_same_weights(plain.student, watched.student)


def test_the_scores_are_those_of_the_average_over_all_steps(
    digits: Dataset, make_task: Callable[..., Task]
) -> None:
    """The weights of update s are in the average by the recursion's unrolled share."""
    task = make_task(epochs=3)
    report = finish(Trainer(task, digits, rungs=(2,)))[1]
    by_hand, seen = Trainer(task, digits), []
    for _ in range(2):
        losses = []
        for step, batch in enumerate(by_hand.begin_epoch()):
            losses.append(by_hand.train_step(batch, step))
            seen.append({k: v.clone().double() for k, v in by_hand.student.state_dict().items()})
        by_hand.end_epoch(losses, 0.0)
    steps = np.arange(1, len(seen) + 1)
    kept = ((steps - 1) / steps) ** (exponent(SHARE) + 1)
    shares = (1 - kept) * np.append(np.cumprod(kept[:0:-1])[::-1], 1.0)
    network = copy.deepcopy(by_hand.student)
    network.load_state_dict(
        {
            name: sum(share * each[name] for share, each in zip(shares, seen, strict=True))
            for name in seen[0]
        }
    )
    views = plain_views(digits, "validation", torch.device("cpu"))
    expected = evaluate(network, views, digits.problem)
    assert report.averaged is not None
    assert report.averaged["accuracy"] == expected["accuracy"]
    assert report.averaged["nll"] == pytest.approx(expected["nll"], rel=1e-5)
    assert report.averaged["nll"] != report.scores["nll"]
    assert report.as_dict()["averaged_nll"] == report.averaged["nll"]


@pytest.mark.parametrize("cut", [1, 2, 3])
def test_a_training_that_goes_on_says_the_same_at_its_rungs(
    digits: Dataset, make_task: Callable[..., Task], cut: int
) -> None:
    task = make_task(epochs=4)
    whole = finish(Trainer(task, digits, rungs=(1, 3)))
    begun = Trainer(task, digits, rungs=(1, 3))
    before = [begun.train_epoch() for _ in range(cut)]
    resumed = Trainer(task, digits, rungs=(1, 3))
    resumed.load_state_dict(through_a_file(begun.state_dict()))
    reports = [*before, *finish(resumed)]
    assert [each.averaged for each in reports] == [each.averaged for each in whole]


@pytest.mark.parametrize(
    ("teacher", "rungs", "epochs"), [("born_again", (1, 2, 3), 4), ("mutual", (1,), 2)]
)
def test_trainings_among_their_like_count_rungs_as_their_reports_do(
    digits: Dataset,
    make_task: Callable[..., Task],
    teacher: str,
    rungs: tuple[int, ...],
    epochs: int,
) -> None:
    task = make_task("kd").model_copy(update={"teacher": teacher})
    reports = finish(begin_training(task, digits, {}, rungs=rungs))
    assert len(reports) == epochs
    assert averaged_after(reports) == list(rungs)
