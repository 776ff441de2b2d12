"""Trainings of students that are cut from a wider network while it is trained."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
import torch

from kdsearch.compression import cut
from kdsearch.data import Dataset
from kdsearch.models import build_network, measure
from kdsearch.spec import parse_spec
from kdsearch.spec.concrete import FineTuning, ModelConfig, WayConfig
from kdsearch.training.distiller import Distiller
from kdsearch.training.programs import begin_training, judged_epochs, total_epochs
from kdsearch.training.programs.staged import Staged
from kdsearch.training.recipe import Recipe
from kdsearch.training.stages import origin_width, stage_tasks, widening
from kdsearch.training.task import Parent, Task
from kdsearch.training.teacher import Teacher
from kdsearch.training.trainer import Trainer
from kdsearch.ways import way_configs
from tests.training.trainings import assert_same_weights, finish, through_a_file

MODEL = {"family": "convnet", "width": 0.25, "depth": 2}


@pytest.fixture
def task_of(make_task: Callable[..., Task]) -> Callable[..., Task]:
    def make(
        label: str = "prune", method: str = "none", model: Any = None, **training: Any
    ) -> Task:
        values = {"factor": 4.0, "cuts": 2, "wide": 0.4}
        named = {(n if label == "prune" else f"prune.{n}"): v for n, v in values.items()}
        ways = [each.model_dump() for each in way_configs(label, named if "prune" in label else {})]
        given = MODEL | (model or {}) | {"ways": ways}
        options = {"epochs": 5, "lr": 0.05, "warmup_epochs": 1.0} | training
        return make_task(method, model=given, **options)

    return make


def test_stages_are_the_trainings_of_three_networks_each_cut_from_the_last(
    digits: Dataset, task_of: Callable[..., Task]
) -> None:
    """Done here one after another, by the trainer and the cut alone."""
    task = task_of()
    program = begin_training(task, digits, {})
    assert isinstance(program, Staged)
    reports = finish(program)
    assert [report.epoch for report in reports] == [1, 2, 3, 4, 5]
    network, since = None, 0
    for width, epochs in ((1.0, 2), (0.5, 1), (0.25, 2)):
        model = ModelConfig(**(MODEL | {"width": width}))
        training = task.training.model_copy(update={"epochs": epochs, "warmup_epochs": epochs / 5})
        plain = task.model_copy(update={"model": model, "training": training})
        student = None
        if network is not None:
            student = build_network(model, digits.inputs, digits.outputs)
            cut(network, student, "magnitude")
        trainer = Trainer(plain, digits, student=student, since=since)
        expected = finish(trainer)
        assert [r.loss for r in expected] == [r.loss for r in reports[since : since + epochs]]
        network, since = deepcopy(trainer.student), since + epochs
    assert network is not None
    assert_same_weights(program.student, network, 0)
    assert program.score_test() == trainer.score_test()


@pytest.mark.parametrize("done", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("label", ["prune", "prune+low_rank+quantize"])
def test_a_resumed_training_is_the_uninterrupted_one(
    digits: Dataset, task_of: Callable[..., Task], label: str, done: int
) -> None:
    task = task_of(label, ema=0.9)
    program = begin_training(task, digits, {}, rungs=(4,))
    reports = [program.train_epoch() for _ in range(done)]
    state = through_a_file(program.state_dict())
    reports += finish(program)
    torch.manual_seed(3)
    again = begin_training(task, digits, {}, rungs=(4,))
    again.load_state_dict(state)
    rest = finish(again)
    assert [r.epoch for r in rest] == list(range(done + 1, 6))
    assert [r.scores for r in rest] == [r.scores for r in reports[done:]]
    assert_same_weights(again.student, program.student, 0)


def test_only_rungs_of_the_last_stage_are_scored(
    digits: Dataset, task_of: Callable[..., Task]
) -> None:
    task = task_of()
    assert (total_epochs(task), judged_epochs(task)) == (5, 2)
    reports = finish(begin_training(task, digits, {}, rungs=(1, 3, 4)))
    assert [report.epoch for report in reports if report.averaged] == [4]


def test_a_student_that_begins_with_its_teachers_channels_begins_with_more_of_them(
    digits: Dataset, task_of: Callable[..., Task], make_teacher: Callable[..., Teacher]
) -> None:
    """Never with more than it has: of four times the width, half a teacher's, there are twice."""
    config = ModelConfig(**(MODEL | {"width": 0.5}))
    torch.manual_seed(4)
    teacher = Teacher(build_network(config, digits.inputs, digits.outputs))
    task = task_of(model={"cut_from": "teacher"}, method="kd")
    task = task.model_copy(update={"teacher": "teacher"})
    program = begin_training(task, digits, {"teacher": teacher})
    assert measure(program.student) == measure(teacher.network)
    assert_same_weights(program.student, teacher.network, 0)
    finish(program)
    small = build_network(ModelConfig(**MODEL), digits.inputs, digits.outputs)
    assert measure(program.student) == measure(small)


def test_the_head_is_trained_alone_before_the_first_cut_only(
    task_of: Callable[..., Task],
) -> None:
    task = task_of(fine_tuning=FineTuning(head_epochs=2))
    alone = [each.training.fine_tuning for each in stage_tasks(task)]
    assert [tuning and tuning.head_epochs for tuning in alone] == [1, 0, 0]


def test_the_baseline_has_its_size_from_the_start_and_no_teacher(
    task_of: Callable[..., Task],
) -> None:
    task = task_of("prune+quantize", model={"importance": "bn_scale"})
    assert not task.is_baseline
    plain = Recipe.of(task).undistilled().model
    assert plain == task.model.model_copy(
        update={"ways": task.model.ways[1:], "importance": "magnitude"}
    )
    assert task.model_copy(update={"model": plain}).is_baseline


def test_terms_know_how_far_the_whole_training_has_come(
    digits: Dataset, task_of: Callable[..., Task], monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[float] = []
    forward = Distiller.forward

    def listens(self: Distiller, *given: Any) -> Any:
        told.append(given[3])
        return forward(self, *given)

    monkeypatch.setattr(Distiller, "forward", listens)
    finish(begin_training(task_of(), digits, {}))
    assert told == pytest.approx([step / len(told) for step in range(len(told))])


def test_a_way_that_is_not_found_hides_no_figures(task_of: Callable[..., Task]) -> None:
    """As where a study with a way of the user's is looked at on another machine."""
    task = task_of()
    kept = WayConfig(name="gone_away:Mine", values={}, cuts=True).model_dump_json()
    gone = WayConfig.model_validate_json(kept)
    other = task.model_copy(update={"model": task.model.model_copy(update={"ways": (gone,)})})
    assert total_epochs(other) == 5
    assert not other.is_baseline
    assert Recipe.of(other).undistilled() == Recipe.of(task).undistilled()


def test_ways_that_cut_nothing_are_written_as_they_were_before_others_did() -> None:
    (way,) = way_configs("quantize", {})
    assert way.model_dump() == {"name": "quantize", "values": {"bits": 8.0, "after": 0.5}}


@pytest.mark.parametrize(("origin", "widths"), [(None, (1.0, 0.5, 0.25)), (0.5, (0.5, 0.5, 0.25))])
def test_early_stages_cost_as_much_as_their_networks(
    task_of: Callable[..., Task], origin: float | None, widths: tuple[float, ...]
) -> None:
    """By the square of the width; of two, one and two epochs."""
    expected = sum(n * (w / 0.25) ** 2 for n, w in zip((2, 1, 2), widths, strict=True)) / 5
    assert widening(task_of(), origin) == pytest.approx(expected)
    assert widening(task_of("quantize"), origin) == 1


def test_a_student_begins_as_wide_as_its_teacher_or_its_parent(
    spec_text: str, task_of: Callable[..., Task]
) -> None:
    spec, plain = parse_spec(spec_text), task_of()
    assert origin_width(spec, plain.model) is None
    taken = plain.model.model_copy(update={"cut_from": "teacher"})
    assert origin_width(spec, taken) == spec.teacher.model.width
    parent = Parent(key="", model=ModelConfig(**(MODEL | {"width": 0.75})), epochs=5)
    assert origin_width(spec, plain.model, parent) == 0.75
