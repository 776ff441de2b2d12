"""Teachers of some tasks alone: who may teach, who is compared with, what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from kdsearch.data import SOURCES, RawData
from kdsearch.errors import CheckpointError, SpecError
from kdsearch.models import Signal, build_network, measure, of_images
from kdsearch.models.weights import save_weights
from kdsearch.render.plan import specialist_lines
from kdsearch.space.checks import make_plan
from kdsearch.space.teaching_checks import check_teaching
from kdsearch.spec import ModelConfig
from kdsearch.teacher_cache.choosing import signals_read
from tests.specialists import CONVNET, INKER, MLP, SHAPES, spec_of, text_of


def line_of(text: str, start: str) -> int:
    """The number of the first line that starts so, leading blanks left out."""
    lines = text.splitlines()
    return next(n for n, line in enumerate(lines, 1) if line.strip().startswith(start))


@pytest.mark.parametrize(
    ("sections", "place", "message"),
    [
        (
            {"teacher": CONVNET | {"tasks": ["digit", "imk"]}},
            "- imk",
            "unknown task 'imk'; did you mean 'ink'?",
        ),
        (
            {"teacher": CONVNET | {"tasks": []}},
            "tasks: []",
            "the teacher would know nothing; name a task, or remove tasks",
        ),
        (
            {"teachers": {"inker": MLP | {"tasks": []}}},
            "tasks: []",
            "the teacher inker would know nothing; name a task, or remove tasks",
        ),
        (
            {"problem": {}, "teachers": {}},
            "tasks:",
            "a teacher has tasks of its own where problem.tasks names some; remove tasks",
        ),
        (
            {"teachers": {}},
            "tasks:",
            "no teacher knows the task 'ink'; add it to the tasks of one, or a teacher of it under "
            "teachers",
        ),
        (
            {"teaching": {"by": ["teacher", "by_task"]}},
            "by:",
            "the teacher knows digit and parity alone, and students learn other tasks too; name "
            "by_task in its place",
        ),
        (
            {"teacher": CONVNET, "teaching": {"by": ["teacher", "inker"]}},
            "by:",
            "inker knows ink alone, and students learn other tasks too; name by_task in its place",
        ),
        (
            {"teacher": CONVNET, "teaching": {"by": ["average"]}},
            "by:",
            "average takes teachers that know all tasks, and inker knows ink alone; name by_task "
            "in its place",
        ),
        (
            {"teacher": CONVNET, "teachers": {}, "teaching": {"by": ["by_task"]}},
            "by:",
            "'by_task' needs a teacher that knows some of the tasks alone; give one tasks",
        ),
        (
            {"teachers": {"by_task": INKER}},
            "by_task:",
            "'by_task' cannot name a teacher, since teacher, average, by_task, born_again, mutual "
            "mean something already; choose another name",
        ),
    ],
)
def test_what_cannot_work_is_refused_in_a_sentence(
    sections: dict[str, Any], place: str, message: str
) -> None:
    text = text_of(**sections)
    # of several sections with tasks, the problem's comes first
    after = text.index("\nteacher:") if place == "tasks:" else 0
    line = line_of(text[after:], place) + text[:after].count("\n")
    with pytest.raises(SpecError) as refused:
        check_teaching(spec_of(**sections))
    where, told = str(refused.value).split(": ", 1)
    assert told == message
    assert where.split(":")[:2] == ["space.yaml", str(line)]


def test_a_task_that_is_named_twice_is_refused_where_it_comes_again() -> None:
    teacher = CONVNET | {"tasks": ["digit", "parity", "digit"]}
    text = text_of(teacher=teacher)
    again = line_of(text, "- digit") + 2
    with pytest.raises(SpecError) as refused:
        check_teaching(spec_of(teacher=teacher))
    assert str(refused.value).startswith(f"space.yaml:{again}:")
    assert str(refused.value).endswith("the task 'digit' is named twice; remove one")


@pytest.mark.parametrize(
    ("sections", "taught_by", "compared", "answers", "in_use"),
    [
        ({}, ["by_task"], "by_task", "teacher teacher inker", ["teacher", "inker"]),
        (
            {"teacher": CONVNET},
            ["teacher", "by_task"],
            "teacher",
            "teacher teacher inker",
            ["teacher", "inker"],
        ),
        # the first of two specialists of a task; one that answers none is left out
        (
            {"teacher": CONVNET, "teachers": {"shapes": SHAPES, "digits": SHAPES, "inker": INKER}},
            ["teacher", "by_task"],
            "teacher",
            "shapes shapes inker",
            ["teacher", "shapes", "inker"],
        ),
        # a specialist comes before the first teacher that knows everything
        (
            {"teachers": {"whole": MLP, "inker": INKER}},
            ["whole", "by_task"],
            "by_task",
            "teacher teacher inker",
            ["teacher", "whole", "inker"],
        ),
        (
            {"teachers": {"whole": MLP, "second": CONVNET}, "teaching": {"by": ["second"]}},
            ["second"],
            "by_task",
            "teacher teacher whole",
            ["teacher", "whole", "second"],
        ),
        # who names all tasks is as one who names none
        (
            {"teacher": CONVNET | {"tasks": ["ink", "digit", "parity"]}, "teachers": {}},
            ["teacher"],
            "teacher",
            "teacher teacher teacher",
            ["teacher"],
        ),
        (
            {"teacher": CONVNET, "teaching": {"by": ["teacher"]}},
            ["teacher"],
            "teacher",
            "teacher teacher inker",
            ["teacher"],
        ),
    ],
)
def test_who_teaches_what(
    sections: dict[str, Any], taught_by: list[str], compared: str, answers: str, in_use: list[str]
) -> None:
    spec = spec_of(**sections)
    check_teaching(spec)
    assert list(spec.taught_by) == taught_by
    assert spec.compared_with == compared
    assert list(spec.answered_by.items()) == list(
        zip(("digit", "parity", "ink"), answers.split(), strict=True)
    )
    assert list(spec.teachers_in_use) == in_use


def test_the_methods_read_logits_of_specialists_alone() -> None:
    plan = make_plan(spec_of(teacher=CONVNET, methods=["kd", "fitnet", "rkd", "weight_copy+kd"]))
    read = signals_read(plan.spec, plan.space.fitting)
    assert read["inker"] == {Signal.LOGITS}
    assert read["teacher"] == {Signal.LOGITS, Signal.FEATURES, Signal.EMBEDDING}
    unfit = {label for label, teacher, _ in plan.space.fitting.unfit if teacher == "by_task"}
    assert unfit == {"fitnet", "rkd", "weight_copy+kd"}
    reason = plan.space.fitting.unfit["rkd", "by_task", "convnet"]
    assert reason.endswith("the group of teachers has none")


def test_specialists_are_listed_with_their_tasks() -> None:
    assert specialist_lines(spec_of()) == [
        "the teacher knows digit and parity",
        "teacher inker knows ink",
        "by_task: digit of teacher, parity of teacher and ink of inker; students are compared "
        "with it",
    ]
    assert specialist_lines(spec_of(teacher=CONVNET))[-1].endswith("ink of inker")
    assert specialist_lines(spec_of(teacher=CONVNET, teachers={})) == []


def test_a_specialist_is_as_large_as_its_own_columns_make_it() -> None:
    plan = make_plan(spec_of())
    for name, columns in (("teacher", 12), ("inker", 1)):
        model = plan.spec.given_teachers[name].model
        expected = measure(build_network(model, of_images((1, 8, 8)), columns))
        assert plan.teacher_sizes[name] == expected


def with_checkpoint(tmp_path: Path, columns: int, bias: float) -> dict[str, Any]:
    """A specialist for ink by its weights, of an output that is constant."""
    network = build_network(ModelConfig(**INKER["model"]), of_images((1, 8, 8)), columns)
    with torch.no_grad():
        network.classifier.weight.zero_()
        network.classifier.bias.fill_(bias)
    save_weights(network, tmp_path / "inker.safetensors")
    return INKER | {"checkpoint": str(tmp_path / "inker.safetensors")}


def test_a_checkpoint_holds_the_columns_of_its_own_tasks(tmp_path: Path) -> None:
    inker = with_checkpoint(tmp_path, 1, 0.25)
    plan = make_plan(spec_of(teachers={"inker": inker}))
    network = plan.given_teachers["inker"].build(plan.data)
    assert network.classifier.bias.tolist() == [0.25]
    assert "teacher" not in plan.given_teachers


def test_a_checkpoint_of_all_tasks_does_not_fit_a_specialist(tmp_path: Path) -> None:
    inker = with_checkpoint(tmp_path, 13, 0.25)
    with pytest.raises(CheckpointError, match=r"space.yaml:\d+:\d+: .*inker.safetensors"):
        make_plan(spec_of(teachers={"inker": inker}))


def test_what_is_told_of_a_specialist_is_of_its_own_tasks(tmp_path: Path) -> None:
    inker = with_checkpoint(tmp_path, 1, 7.0)
    (told,) = make_plan(spec_of(teachers={"inker": inker})).warnings
    assert told.startswith("the teacher inker explains nothing of 'ink' (R² ")


def test_what_a_specialist_says_of_classes_is_checked_against_its_own_tasks() -> None:
    training = {"epochs": 2, "sampling": "balanced"}
    with pytest.raises(SpecError, match="no task has classes; set sampling to none"):
        make_plan(spec_of(teachers={"inker": INKER | {"training": training}}))
    training = {"epochs": 2, "class_weights": {"7": 2}}
    make_plan(spec_of(teacher=SHAPES | {"training": training}))


@pytest.mark.parametrize("known", [0.03, 0.3])
def test_a_specialist_may_know_what_few_samples_have(
    monkeypatch: pytest.MonkeyPatch, known: float
) -> None:
    """Its short training takes samples of its own tasks, not those that have any target."""
    drawn = np.random.default_rng(0).random(1797) < known
    whole = SOURCES["digits"]

    def rare(section: Any, problem: Any) -> RawData:
        raw = whole.load(section, problem)
        ink = np.where(drawn, raw.train_labels["ink"], np.nan)  # type: ignore[index,call-overload]
        return replace(raw, train_labels={**raw.train_labels, "ink": ink})  # type: ignore[dict-item]

    sources = {**SOURCES, "digits": replace(whole, load=rare)}
    monkeypatch.setattr("kdsearch.data.sources.catalogue.SOURCES", sources)
    data = make_plan(spec_of()).data
    ink = data.train.targets["ink"]
    assert 0 < float((~ink.isnan()).double().mean()) < 1.5 * known
