"""Teachers of some tasks alone: how they are trained and stored, and what they say together."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from kdsearch.data import Dataset, Split, Views, load_dataset
from kdsearch.errors import CheckpointError, MethodError
from kdsearch.methods import method_config
from kdsearch.models import Signal, build_network
from kdsearch.models.weights import save_weights
from kdsearch.problems import Head, Problem
from kdsearch.problems.part import part_of
from kdsearch.space.teacher_scores import training_warnings
from kdsearch.spec import ModelConfig, StudySpec
from kdsearch.training.by_task import ByTask, TeachersByTask
from kdsearch.training.programs import begin_training
from kdsearch.training.task import Task
from kdsearch.training.teacher import Batch, Teacher
from kdsearch.training.teacher_store import TeacherStore, given_teacher, teacher_key, teacher_task
from kdsearch.training.trainer import Trainer
from tests.specialists import CONVNET, MLP, SHAPES, TASKS, spec_of
from tests.training.trainings import assert_same_weights, finish

COLUMNS = {"teacher": 12, "inker": 1}
MODEL = ModelConfig(**MLP["model"])


@pytest.fixture(scope="module")
def data() -> Dataset:
    """240 training scans with digit, parity and ink."""
    spec = spec_of()
    return load_dataset(spec.data, Problem.of(spec))


def untrained(spec: StudySpec, data: Dataset) -> dict[str, Teacher]:
    """The teachers of a study with initial weights."""
    torch.manual_seed(5)
    return {
        name: Teacher(build_network(section.model, data.inputs, COLUMNS[name]))
        for name, section in spec.given_teachers.items()
    }


def some_views(data: Dataset) -> Batch:
    index = torch.arange(9)
    views = Views(data.train, data.scales, None, 0)
    return views.batch(index, 0)


def outputs_of(teacher: Teacher, batch: Batch) -> Tensor:
    """Straight from the network."""
    with torch.no_grad():
        return teacher.network(batch.inputs["image"])


def by_hand(data: Dataset, *names: str) -> Dataset:
    """A data set that never had other tasks, its heads written out."""
    start, heads = 0, []
    for name in names:
        whole = next(head for head in data.problem.heads if head.name == name)
        heads.append(Head(name, whole.kind, whole.names, start, whole.mean, whole.std, named=True))
        start += len(whole.names)
    splits = [
        Split(each.inputs, {name: each.targets[name] for name in names}, each.weights)
        for each in (data.train, data.validation, data.test)
    ]
    return Dataset(data.name, *splits, data.scales, None, Problem(heads=tuple(heads)))


def test_the_outputs_stand_side_by_side_in_the_order_of_the_tasks(data: Dataset) -> None:
    spec = spec_of()
    teachers, batch = untrained(spec, data), some_views(data)
    together = ByTask.of(spec, data).beside(teachers)["by_task"]
    found = together.observe(batch, {Signal.LOGITS}).logits
    shapes, ink = (outputs_of(teachers[name], batch) for name in ("teacher", "inker"))
    # the first specialist names parity first, and the problem digit
    assert torch.equal(found, torch.cat([shapes[:, :10], shapes[:, 10:], ink], dim=1))
    assert found.shape == (9, 13)
    shown = together.shapes
    assert (shown.classes, shown.embedding, shown.features) == (13, 0, ())
    with pytest.raises(MethodError, match="have logits alone"):
        together.observe(batch, {Signal.EMBEDDING})


@pytest.mark.parametrize(
    ("known", "compared"),
    [((["digit", "parity", "ink"], ["parity"]), False), ((["ink", "digit"], ["parity"]), True)],
    ids=["whole", "specialist"],
)
def test_columns_are_picked_by_task(
    data: Dataset, known: tuple[list[str], list[str]], compared: bool
) -> None:
    first, second = known
    spec = spec_of(teacher=CONVNET | {"tasks": first}, teachers={"odd": MLP | {"tasks": second}})
    torch.manual_seed(6)
    columns = {"teacher": 13 if "parity" in first else 11, "odd": 2}
    teachers = {
        name: Teacher(build_network(spec.given_teachers[name].model, data.inputs, count))
        for name, count in columns.items()
    }
    batch, by_task = some_views(data), ByTask.of(spec, data)
    found = by_task.beside(teachers)["by_task"].observe(batch, {Signal.LOGITS}).logits
    of_first, parity = (outputs_of(teachers[name], batch) for name in ("teacher", "odd"))
    assert torch.equal(found, torch.cat([of_first[:, :10], parity, of_first[:, -1:]], dim=1))
    assert by_task.compared == compared
    with_whom = by_task.compared_with(teachers)
    assert (with_whom is teachers["teacher"]) != compared
    assert isinstance(with_whom, TeachersByTask) == compared


def test_teachers_are_put_together_only_where_that_is_used(data: Dataset) -> None:
    for sections in ({"teaching": {"by": ["teacher"]}}, {"teachers": {}}):
        by_task = ByTask.of(spec_of(teacher=CONVNET, **sections), data)
        teachers = {"teacher": Teacher(build_network(MODEL, data.inputs, 13))}
        assert by_task.beside(teachers) == teachers
        assert by_task.compared_with(teachers) is teachers["teacher"]


def test_values_of_a_specialist_are_in_the_units_of_the_problem(data: Dataset) -> None:
    ink = data.train.targets["ink"].double().numpy()
    whole, alone = data.problem.heads[2], data.of_tasks(["ink"]).problem.heads[0]
    for head in (whole, alone):
        np.testing.assert_allclose((head.mean, head.std), (ink.mean(), ink.std()), rtol=1e-6)
    outputs = torch.linspace(-2, 2, 13)[None]
    natural = float(outputs[0, 12]) * ink.std() + ink.mean()
    np.testing.assert_allclose(float(whole.natural(outputs)), natural, rtol=1e-6)
    np.testing.assert_allclose(float(alone.natural(outputs[:, 12:])), natural, rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "tasks", "weights"),
    [("inker", ("ink",), {}), ("teacher", ("digit", "parity"), {"parity": 0.5})],
)
def test_a_specialist_is_trained_as_if_there_were_no_other_tasks(
    data: Dataset, name: str, tasks: tuple[str, ...], weights: dict[str, float]
) -> None:
    spec = spec_of()
    task = teacher_task(spec, name)
    section = spec.given_teachers[name]
    assert task.tasks == tasks
    plain = Task(
        model=section.model,
        method=task.method,
        training=section.training,
        views_seed=task.views_seed,
        seed=task.seed,
        task_weights=weights,
    )
    one, other = Trainer(task, data), Trainer(plain, by_hand(data, *tasks))
    found, expected = ([each.scores for each in finish(training)] for training in (one, other))
    assert found == expected
    assert_same_weights(one.student, other.student)


def test_uncertainty_is_learnt_for_several_tasks_alone() -> None:
    tasks = TASKS | {"parity": "class"}
    spec = spec_of(problem={"tasks": tasks, "weighting": "uncertainty"})
    assert teacher_task(spec, "teacher").uncertainty
    assert not teacher_task(spec, "inker").uncertainty


def test_a_specialist_of_one_task_has_the_metrics_of_one_task(data: Dataset) -> None:
    spec = spec_of()
    scores = {
        name: Trainer(teacher_task(spec, name), data).train_epoch().scores
        for name in ("teacher", "inker")
    }
    assert {"mae", "r2"} <= scores["inker"].keys()
    assert {"mean", "digit/accuracy", "parity/accuracy"} <= scores["teacher"].keys()
    assert not any("ink" in name for name in scores["teacher"])


def test_a_student_of_all_tasks_learns_from_them(data: Dataset) -> None:
    """The squared distances of mse_logits at the first step, written out."""
    spec = spec_of()
    teachers = untrained(spec, data)
    known = ByTask.of(spec, data).beside(teachers)
    plain = teacher_task(spec_of(teacher=CONVNET, teachers={}))
    method = method_config("mse_logits", {"weight": 1.0, "ce_weight": 0.0})
    training = plain.training.model_copy(update={"lr": 1e-12, "batch_size": 240, "epochs": 1})
    task = plain.model_copy(
        update={"method": method, "teacher": "by_task", "training": training, "task_weights": {}}
    )
    program = begin_training(task, data, known)
    assert isinstance(program, Trainer)
    batch = next(iter(program.begin_epoch()))
    student = program.student
    with torch.no_grad():
        own = student.train()(batch.inputs["image"])
    theirs = torch.cat([outputs_of(teachers[name], batch) for name in ("teacher", "inker")], dim=1)
    gaps = (own - theirs) ** 2
    expected = gaps[:, :10].mean() + gaps[:, 10:12].mean() + gaps[:, 12:].mean()
    assert float(program.train_step(batch, 0)) == pytest.approx(float(expected), rel=1e-4)


def test_the_tasks_are_part_of_the_key_and_their_order_is_not(data: Dataset) -> None:
    def key(tasks: list[str] | None) -> str:
        section = CONVNET if tasks is None else CONVNET | {"tasks": tasks}
        spec = spec_of(teacher=section, teachers={"second": CONVNET})
        return teacher_key(teacher_task(spec), data)

    assert key(["digit", "parity"]) == key(["parity", "digit"])
    assert key(["ink", "digit", "parity"]) == key(None)
    keys = {key(tasks) for tasks in (None, ["digit"], ["parity"], ["ink"], ["digit", "ink"])}
    assert len(keys) == 5


def test_a_stored_specialist_comes_back_with_its_tasks(data: Dataset, tmp_path: Path) -> None:
    spec = spec_of()
    store, task = TeacherStore(tmp_path), teacher_task(spec, "inker")
    network = untrained(spec, data)["inker"].network
    kept = store.keep("key", network, task, {"history": []})
    found = store.find("key")
    assert found is not None
    assert kept.tasks == found.tasks == ("ink",)
    assert_same_weights(found.build(data), network)


def test_weights_of_a_checkpoint_are_those_of_its_own_columns(
    data: Dataset, tmp_path: Path
) -> None:
    path = tmp_path / "shapes.safetensors"
    network = untrained(spec_of(), data)["teacher"].network
    save_weights(network, path)
    stored = given_teacher(spec_of(teacher=SHAPES | {"checkpoint": str(path)}), data)
    assert stored is not None
    assert_same_weights(stored.build(data), network)
    whole = spec_of(teacher=CONVNET | {"checkpoint": str(path)})
    with pytest.raises(CheckpointError):
        given_teacher(whole, data)


def test_a_specialist_that_guesses_is_told_by_its_own_tasks(data: Dataset, tmp_path: Path) -> None:
    spec = spec_of(teacher=CONVNET, teachers={"digits": CONVNET | {"tasks": ["digit"]}})
    task, store = teacher_task(spec, "digits"), TeacherStore(tmp_path)
    network = build_network(task.model, data.inputs, 10)
    stored = store.keep("key", network, task, {"history": [{"accuracy": 0.1}]})
    (told,) = training_warnings(replace(stored, name="digits"), data)
    assert told.startswith("the teacher digits predicts 10.0% of 60 validation samples right")
    inker = store.keep("other", network, teacher_task(spec_of(), "inker"), {"history": [{"r2": 0}]})
    assert training_warnings(inker, data) == []


@pytest.mark.parametrize(
    ("chosen", "objective", "names", "left"),
    [
        (("ink/rmse", "digit/top5_accuracy"), "ink/mae", ["ink"], (("rmse",), "mae")),
        (
            ("ink/rmse", "digit/top5_accuracy"),
            "ink/mae",
            ["digit"],
            (("top5_accuracy",), "accuracy"),
        ),
        (
            ("mean", "digit/top5_accuracy"),
            "mean",
            ["ink", "digit"],
            (("mean", "digit/top5_accuracy"), "mean"),
        ),
        (("digit/ece",), "digit/ece", ["parity"], ((), "accuracy")),
        (("digit/ece",), "digit/ece", ["digit", "parity", "ink"], (("digit/ece",), "digit/ece")),
    ],
)
def test_metrics_of_other_tasks_go(
    data: Dataset,
    chosen: tuple[str, ...],
    objective: str,
    names: list[str],
    left: tuple[tuple[str, ...], str],
) -> None:
    whole = replace(data.problem, metrics=chosen, objective=objective, more=("digit/accuracy",))
    part = part_of(whole, names)
    assert (part.metrics, part.objective) == left
    assert part.more == (() if "digit" not in names else (_in_part("digit/accuracy", part),))
    assert [head.name for head in part.heads] == [n for n in TASKS if n in names]
    starts = np.cumsum([0, *(head.size for head in part.heads)])[:-1]
    assert [head.start for head in part.heads] == starts.tolist()
    for name in part.names:
        part.find(name)


def _in_part(name: str, part: Problem) -> str:
    return name if part.several else name.partition("/")[2]
