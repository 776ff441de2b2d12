"""What a plan accepts and refuses of tasks: rare targets, methods, weights, caches, teachers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import yaml
from optuna.trial import FixedTrial

from kdsearch.data import RawData
from kdsearch.errors import SpecError
from kdsearch.models import build_network, of_images
from kdsearch.problems import Head
from kdsearch.space.checks import make_plan
from kdsearch.space.teacher_scores import score_teacher
from kdsearch.spec import parse_spec
from kdsearch.spec.concrete import ModelConfig, TrainingConfig
from kdsearch.training.class_balance import task_loss

SPEC = {
    "study": {"name": "x"},
    "data": {"source": f"{__name__}:load", "validation": 0.2},
    "teacher": {
        "model": {"family": "mlp", "width": 0.5, "depth": 1},
        "training": {"epochs": 1},
    },
    "students": [{"family": "mlp", "width": 0.2, "depth": 1}],
    "methods": ["none", "kd", "rkd"],
    "training": {"epochs": 1},
}


def load(*names: str) -> RawData:
    """Noise with targets that few samples have, or that hardly differ."""
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (400, 8, 8), dtype=np.uint8)
    targets = {
        "rare": generator.random((400, 3)) < 0.03,
        "one": generator.random((400, 1)) < 0.5,
        "sparse": np.where(generator.random(400) < 0.8, np.nan, generator.random(400)),
        "zeros": np.where(generator.random(400) < 0.9, 0.0, 5.0),
        "few": np.where(generator.random(400) < 0.9, -1, generator.integers(0, 2, 400)),
        "kind": np.arange(400) % 3,
        "tone": np.arange(400) % 2,
    }
    return RawData(images, targets, classes={"kind": ("a", "b", "c"), "tone": ("b", "d")})


def usual(*names: str) -> RawData:
    """One class a sample, and four of five samples without it."""
    images = np.random.default_rng(0).integers(0, 256, (400, 8, 8), dtype=np.uint8)
    return RawData(images, np.where(np.arange(400) % 5, -1, np.arange(400) % 3))


def plan(tasks: dict[str, Any], **sections: Any) -> Any:
    changed = {
        name: SPEC[name] | given if isinstance(SPEC.get(name), dict) else given
        for name, given in sections.items()
    }
    spec = SPEC | {"problem": {"tasks": tasks}} | changed
    return make_plan(parse_spec(yaml.safe_dump(spec, sort_keys=False)))


@pytest.mark.parametrize(
    "tasks",
    [
        {"rare": "labels"},
        {"one": "labels"},
        {"sparse": "value"},
        {"zeros": "value"},
        {"few": "class"},
        {"few": "class", "sparse": "value", "rare": "labels"},
    ],
    ids=lambda tasks: "+".join(tasks),
)
def test_targets_that_few_samples_have_are_no_reason_to_refuse(tasks: dict[str, str]) -> None:
    made = plan(tasks)
    assert [head.name for head in made.data.problem.heads] == list(tasks)
    assert made.data.problem.few is False


@pytest.mark.parametrize(
    ("tasks", "sections", "message"),
    [
        ({"zeros": "value"}, {"methods": ["dkd"]}, "dkd distils classes, and 'zeros' is a value"),
        ({"few": "class"}, {"methods": ["crd"]}, "crd reads the class of every sample, and some"),
        (
            {"kind": "class", "tone": "class"},
            {"training": {"epochs": 1, "class_weights": {"b": 2}}},
            "several tasks have a class 'b'",
        ),
        (
            {"zeros": "value"},
            {"training": {"epochs": 1, "sampling": "balanced"}},
            "no task has classes; set sampling to none",
        ),
        (
            {"zeros": "value"},
            {"training": {"epochs": 1, "label_smoothing": {"low": 0, "high": 0.2}}},
            "no task has classes or labels; remove label_smoothing",
        ),
        ({"kind": "class", "zeros": "value"}, {"cache": {"top_k": 2}}, "remove top_k"),
    ],
)
def test_what_tasks_cannot_have_is_refused(
    tasks: dict[str, str], sections: dict[str, Any], message: str
) -> None:
    with pytest.raises(SpecError, match=message):
        plan(tasks, **sections)


USUAL = {"source": f"{__name__}:usual"}


@pytest.mark.parametrize(
    "sections",
    [
        {"methods": ["none", "kd", "kd+fitnet", "rkd", "simkd", "weight_copy", "adversarial"]},
        {"training": {"epochs": 1, "class_weights": "balanced"}},
        {"training": {"epochs": 1, "sampling": "balanced"}},
        {"data": USUAL | {"augment": {"mixup": 0.2}, "limit": 200}},
        {"teaching": {"by": ["mutual", "born_again"]}, "methods": ["kd"]},
    ],
    ids=str,
)
def test_four_of_five_samples_may_lack_their_class(sections: dict[str, Any]) -> None:
    if "simkd" in sections.get("methods", ()):
        model = {"family": "convnet", "width": 0.5, "depth": 2}
        sections |= {
            "teacher": {"model": model, "training": {"epochs": 1}},
            "students": [model],
        }
    made = plan({}, **({"data": USUAL} | sections))
    assert made.data.problem.heads[0].gaps
    assert not made.space.fitting.unfit


@pytest.mark.parametrize("method", ["dkd", "nkd", "crd", "dkd+rkd"])
def test_what_reads_the_class_of_every_sample_is_refused_before_anything_trains(
    method: str,
) -> None:
    name = method.partition("+")[0]
    with pytest.raises(SpecError, match=f"{name} reads the class of every sample, and some"):
        plan({}, data=USUAL, methods=["kd", method])


@pytest.mark.parametrize("label", ["kd", "kd+rkd"])
def test_a_value_that_changes_nothing_is_neither_searched_nor_fixed(label: str) -> None:
    full = "temperature" if label == "kd" else "kd.temperature"
    searched = plan({"zeros": "value", "kind": "class"}, methods=[label]).space
    assert full in searched.dimensions(label)
    assert f"{label}.{full}" in searched.published(label)
    space = plan({"zeros": "value"}, methods=[label]).space
    assert full not in space.dimensions(label)
    assert f"{label}.{full}" not in space.published(label)
    values = {"method": label, f"{label}.weight": 1.0, f"{label}.kd.weight": 1.0}
    values |= {f"{label}.rkd.weight": 1.0}
    space.suggest(FixedTrial(values))  # which fails where a temperature is asked for
    for value in (2.0, {"low": 1, "high": 3}):
        with pytest.raises(SpecError, match=f"{full} has no effect on a task of kind value"):
            plan({"zeros": "value"}, methods={label: {full: value}})
    plan({"zeros": "value", "rare": "labels"}, methods={label: {full: 2.0}})


def test_class_weights_are_those_of_the_task_that_has_the_class() -> None:
    made = plan(
        {"kind": "class", "tone": "class"},
        training={"epochs": 1, "class_weights": {"a": 2, "d": 0.5}},
    )
    data, training = made.data, TrainingConfig(class_weights={"a": 2, "d": 0.5})
    losses = [task_loss(training, data.train, data.problem, head) for head in data.problem.heads]
    weights = [loss.class_weights for loss in losses]
    assert [each.tolist() for each in weights if each is not None] == [[2, 1, 1], [1, 0.5]]


def test_a_teacher_that_answers_in_another_unit_is_told() -> None:
    data = plan({"zeros": "value"}).data
    network = build_network(ModelConfig(family="mlp", width=0.5, depth=1), of_images((1, 8, 8)), 1)
    head: Head = data.problem.heads[0]
    with torch.no_grad():
        network.classifier.weight.zero_()
        network.classifier.bias.fill_(7.0)
    (told,) = score_teacher("the teacher", network, data, 1e3)
    assert told.startswith("the teacher explains nothing of 'zeros' (R² ")
    assert f"({head.mean:.4g} and {head.std:.4g})" in told


def test_the_weights_of_tasks_are_proposed_and_tuned() -> None:
    weight = {"low": 0.1, "high": 3.0, "log": True}
    made = plan({"kind": "class", "zeros": {"kind": "value", "weight": weight}})
    recipe = made.space.suggest(
        FixedTrial({"method": "kd", "task.zeros": 0.5, "kd.temperature": 2.0, "kd.weight": 0.9})
    )
    assert recipe.task_weights == {"kind": 1.0, "zeros": 0.5}
    assert recipe.undistilled().task_weights == recipe.task_weights
    task = recipe.task(made.spec, 0)
    assert (task.task_weight("zeros"), task.task_weight("kind")) == (0.5, 1.0)
