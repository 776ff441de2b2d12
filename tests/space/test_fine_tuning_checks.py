"""What a plan says of fine-tuning before anything trains, and what it makes of it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from optuna.trial import FixedTrial

from kdsearch.errors import SpecError
from kdsearch.models import build_network, of_images
from kdsearch.models.weights import save_weights
from kdsearch.space.checks import make_plan
from kdsearch.spec import ModelConfig, parse_spec
from kdsearch.spec.concrete import FineTuning
from kdsearch.training.teacher_store import teacher_task

TEACHER = ModelConfig(family="convnet", depth=2)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    torch.manual_seed(3)
    save_weights(build_network(TEACHER, of_images((1, 8, 8)), 10), tmp_path / "mine.safetensors")
    return tmp_path / "mine.safetensors"


def teacher(file: Path, tuning: str) -> list[str]:
    model = f"{{family: convnet, depth: 2, weights: {file}}}"
    return [f"teacher={{model: {model}, training: {{epochs: 2, fine_tuning: {tuning}}}}}"]


def students(file: Path, tuning: str) -> list[str]:
    tuned = f"{{family: convnet, depth: 2, weights: {file}}}"
    return [
        f"students=[{tuned}, {{family: convnet, width: 0.5, depth: 2}}]",
        f"training.fine_tuning={tuning}",
    ]


@pytest.mark.parametrize(
    ("tuning", "told"),
    [
        ("{freeze: 3}", r"it has 2 stages to freeze \(stages.0, stages.1\)"),
        ("{freeze: [stages.2]}", r"no module 'stages.2'.*did you mean 'stages"),
        ("{freeze: [stages, classifier]}", "freeze leaves nothing to train"),
    ],
)
def test_what_a_network_cannot_freeze_is_told_with_its_place(
    spec_text: str, file: Path, tuning: str, told: str
) -> None:
    for overrides in (teacher(file, tuning), students(file, tuning)):
        with pytest.raises(SpecError, match=told) as caught:
            make_plan(parse_spec(spec_text, overrides))
        assert "convnet depth 2" in str(caught.value)


def test_what_is_new_is_not_fine_tuned(spec_text: str) -> None:
    with pytest.raises(SpecError, match="and no student does; give weights"):
        make_plan(parse_spec(spec_text, ["training.fine_tuning={freeze: 1}"]))
    with pytest.raises(SpecError, match="the teacher begins with random ones; give weights"):
        make_plan(parse_spec(spec_text, ["teacher.training.fine_tuning={freeze: 1}"]))


def test_the_teacher_and_students_with_weights_are_fine_tuned(spec_text: str, file: Path) -> None:
    given = [*teacher(file, "{head_epochs: 1}"), *students(file, "{freeze: [stages.0]}")]
    spec = parse_spec(spec_text, given)
    plan = make_plan(spec)
    assert teacher_task(spec).training.fine_tuning == FineTuning(head_epochs=1)
    drawn = {"method": "kd", "kd.temperature": 4.0, "kd.weight": 1.0, "lr": 0.05}
    for student, expected in (
        ("convnet", FineTuning(freeze=("stages.0",))),
        ("convnet#2", None),  # as if the section were not there
    ):
        recipe = plan.space.suggest(FixedTrial(drawn | {"student": student}))
        assert recipe.task(spec, 0).training.fine_tuning == expected
        assert recipe.undistilled().task(spec, 1).training.fine_tuning == expected
