"""Which finalist of an earlier study fits: by what it takes, and at what size it sees it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from optuna.trial import FixedTrial

from kdsearch.data import Dataset, Scale, Split
from kdsearch.errors import SpecError
from kdsearch.space.initial_checks import check_initial
from kdsearch.space.space import Space
from kdsearch.spec import ModelConfig, parse_spec
from kdsearch.spec.concrete import Normalisation
from kdsearch.spec.study import StudySpec
from kdsearch.training.initial import initial_student
from kdsearch.training.task import Task
from tests.earlier import make_study, ship


@pytest.fixture
def folder(spec: StudySpec, tmp_path: Path) -> Path:
    return make_study(spec, tmp_path / "earlier")


def of_two_images(data: Dataset, mean: float = 0.2) -> Dataset:
    """Each picture twice, of which the left one is darker; and three numbers."""

    def split(of: Split) -> Split:
        image = of.inputs["image"]
        numbers = image.double().mean(dim=(1, 2))[:, :3]
        return replace(of, inputs={"left": image, "right": image, "numbers": numbers})

    parts = {"train": data.train, "validation": data.validation, "test": data.test}
    numbers = Scale((0.0,) * 3, (1.0,) * 3)
    scales = {"left": Scale((mean,), (0.4,)), "right": Scale((0.7,), (0.3,)), "numbers": numbers}
    return replace(data, **{name: split(each) for name, each in parts.items()}, scales=scales)


def students(folder: Path, more: str, family: str = "mlp") -> str:
    return f"students=[{{family: {family}, depth: 2, weights: {folder}, {more}}}]"


def task_of(spec_text: str, data: Dataset, given: str, **drawn: object) -> Task:
    """The training of a student that passes all checks of its beginning."""
    spec = parse_spec(spec_text, ["methods=[none]", given])
    check_initial(spec, data)
    space = Space(spec, inputs=data.inputs)
    return space.suggest(FixedTrial({"method": "none", "lr": 0.05, **drawn})).task(spec, 0)


def begun(task: Task, data: Dataset) -> int:
    """The trial whose finalist a student begins with, as it then does."""
    assert task.model.earlier is not None
    assert all(torch.isfinite(each).all() for each in initial_student(task, data).parameters())
    return task.model.earlier.trial


def test_one_of_numbers_alone_has_no_normalisation(
    spec_text: str, folder: Path, digits: Dataset
) -> None:
    data = of_two_images(digits)
    ship(folder, 1, data, family="mlp", inputs=["numbers"])
    task = task_of(spec_text, data, students(folder, "inputs: [numbers]"))
    assert (begun(task, data), task.model.normalise) == (1, None)


def test_of_several_images_the_one_that_it_takes_tells_the_normalisation(
    spec_text: str, folder: Path, digits: Dataset
) -> None:
    ship(folder, 1, of_two_images(digits), inputs=["left"])
    later = of_two_images(digits, 0.5)
    task = task_of(spec_text, later, students(folder, "inputs: [right]", "convnet"))
    assert begun(task, later) == 1
    assert task.model.normalise == Normalisation(mean=(0.2,), std=(0.4,))
    # of two images none is normalised apart
    ship(folder, 2, later, family="mlp", inputs=["left", "right"])
    both = task_of(spec_text, later, students(folder, "inputs: [left, right]"))
    assert (begun(both, later), both.model.normalise) == (2, None)


def test_it_takes_the_inputs_of_the_student(spec_text: str, folder: Path, digits: Dataset) -> None:
    data = of_two_images(digits)
    ship(folder, 1, data, family="mlp", width=0.5, inputs=["left"])
    ship(folder, 2, data, family="mlp", width=0.6, inputs=["left", "right"])
    for inputs, trial in (("[left]", 1), ("[right]", 1), ("[left, right]", 2)):
        given = students(folder, f"inputs: {inputs}, width: 0.5")
        assert begun(task_of(spec_text, data, given), data) == trial
    told = r"finalists of the study earlier take left, and the students take left \(1×8×8\) and num"
    with pytest.raises(SpecError, match=told):
        task_of(spec_text, data, students(folder, "inputs: [left, numbers], width: 0.5"))


def test_a_finalist_of_another_size_is_passed_over_where_its_weights_depend_on_it(
    spec_text: str, folder: Path, digits: Dataset
) -> None:
    for trial, width, side in ((1, 0.3, None), (2, 0.45, 4), (3, 0.6, 8)):
        for number, family in ((trial, "mlp"), (10 + trial, "convnet")):
            ship(folder, number, digits, family=family, width=width, image_size=side)
    more = "width: {low: 0.2, high: 0.6}, image_size: 8"
    drawn = task_of(spec_text, digits, students(folder, more), **{"mlp.width": 0.4})
    assert begun(drawn, digits) == 3
    assert drawn.model.image_size == 8
    own = students(folder, "width: {low: 0.2, high: 0.6}")  # which resizes as the finalist did
    drawn = task_of(spec_text, digits, own, **{"mlp.width": 0.4})
    assert (begun(drawn, digits), drawn.model.image_size) == (2, 4)
    any_size = students(folder, more, "convnet")
    drawn = task_of(spec_text, digits, any_size, **{"convnet.width": 0.4})
    assert begun(drawn, digits) == 12
    with pytest.raises(SpecError, match=r"study earlier do not fit the data: .* in the file and"):
        task_of(spec_text, digits, students(folder, "width: 0.4, image_size: 16"))


def test_every_finalist_that_a_width_meets_is_tried(
    spec_text: str, folder: Path, digits: Dataset
) -> None:
    for trial, width in ((1, 0.3), (2, 0.45), (3, 0.6)):
        ship(folder, trial, digits, width=width)
    file = folder / "students" / "trial-0002" / "student.safetensors"
    named = replace(digits.problem.heads[0], names=tuple(f"garment {n}" for n in range(10)))
    other = replace(digits, problem=replace(digits.problem, heads=(named,)))
    given = students(folder, "width: {low: 0.2, high: 0.6}", "convnet")
    told = check_initial(parse_spec(spec_text, ["methods=[none]", given]), other)
    assert any(str(file) in each for each in told)
    assert len(told) == 3


def test_images_that_are_not_square_name_the_study_that_resized(
    spec_text: str, folder: Path, digits: Dataset
) -> None:
    ship(folder, 1, digits, image_size=12)

    def split(of: Split) -> Split:
        return replace(of, inputs={"image": of.inputs["image"][:, :, :, :6].contiguous()})

    parts = {"train": digits.train, "validation": digits.validation, "test": digits.test}
    tall = replace(digits, **{name: split(each) for name, each in parts.items()})
    told = r"finalists of the study earlier resize square images to 12 pixels, and the data are"
    with pytest.raises(SpecError, match=told):
        task_of(spec_text, tall, students(folder, "width: 0.5", "convnet"))


def test_those_that_took_a_classifier_over_are_told(
    spec_text: str, folder: Path, digits: Dataset
) -> None:
    ship(folder, 1, digits, adopts=ModelConfig(family="convnet", depth=2))
    told = r"it has no convnet but those that took a teacher's classifier over \(simkd\) or were"
    with pytest.raises(SpecError, match=told):
        task_of(spec_text, digits, students(folder, "width: 0.5", "convnet"))


def test_the_folder_of_one_student_is_none_of_a_study(
    spec_text: str, folder: Path, digits: Dataset
) -> None:
    _, file = ship(folder, 1, digits)
    told = r"is the folder of one student; give that of its study, or the student\.safetensors in"
    with pytest.raises(SpecError, match=told):
        task_of(spec_text, digits, students(file.parent, "width: 0.5", "convnet"))


def test_a_metric_that_is_not_here_is_asked_for_between_several_of_a_width_alone(
    spec_text: str, folder: Path, digits: Dataset
) -> None:
    def ship_judged(trial: int) -> None:
        _, file = ship(folder, trial, digits, width=0.5)
        told = file.with_name("student.json")
        facts = json.loads(told.read_text())
        facts["gain_over_undistilled"]["objective"] = "gone:metric"
        facts["validation_scores"] = {"gone:metric": 0.9}
        told.write_text(json.dumps(facts))

    given = students(folder, "width: 0.5", "convnet")
    ship_judged(1)
    assert begun(task_of(spec_text, digits, given), digits) == 1
    ship_judged(2)
    told = r"of the study earlier of one width are compared by its objective: "
    with pytest.raises(SpecError, match=told):
        task_of(spec_text, digits, given)
