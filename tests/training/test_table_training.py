"""From a table of images to a trained network: weights, sampling, and a plain loop beside it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from kdsearch.data import Dataset, Views, load_dataset
from kdsearch.models import Network, build_network
from kdsearch.spec.sections import DataSection
from kdsearch.spec.table import TableSection
from kdsearch.training.class_balance import sample_order
from kdsearch.training.task import Task
from kdsearch.training.trainer import Trainer
from tests.pictures import pictured
from tests.training.trainings import assert_same_weights, finish, through_a_file

CLASSES = ("dark", "light", "mid")
BALANCES: list[dict[str, Any]] = [
    {},
    {"class_weights": "balanced"},
    {"class_weights": {"light": 3.0, "mid": 0.5}, "label_smoothing": 0.1},
    {"sampling": "balanced"},
]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """72 training images, few of 'mid', with weights from 0 to 2."""
    folder = tmp_path_factory.mktemp("table")
    generator = np.random.default_rng(0)
    lines = ["image,label,split,weight"]
    for split, copies in (("train", 6), ("val", 2), ("test", 2)):
        for label, shade, count in (("dark", 60, 5), ("light", 180, 6), ("mid", 120, 1)):
            for number in range(count * copies):
                name = f"{split}-{label}-{number}.png"
                pixels = generator.normal(shade, 30, (8, 8, 3)).clip(0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(folder / name)
                lines.append(f"{name},{label},{split},{number % 3}")
    (folder / "table.csv").write_text("\n".join(lines))
    table = TableSection(file=folder / "table.csv", weight="weight")
    return load_dataset(DataSection(source="table", table=table))


def plain_training(task: Task, data: Dataset) -> Network:
    """The training as in a tutorial; weights by torch's own loss, their mean by NumPy."""
    torch.manual_seed(task.seed)
    model = build_network(task.model, data.inputs, 3).train()
    views = Views(data.train, data.scales, task.augment, task.views_seed)
    config = task.training
    labels, own = data.train.labels.numpy(), np.asarray(data.train.weights)
    by_class = np.ones(3)
    if config.class_weights == "balanced":
        by_class = len(labels) / 3 / np.bincount(labels)
    elif isinstance(config.class_weights, dict):
        by_class = np.array([config.class_weights.get(name, 1.0) for name in CLASSES])
    each = by_class[labels] * own
    mean = each.mean()
    if config.sampling == "balanced":
        mean = np.mean([each[labels == label].mean() for label in range(3)])
    loss = torch.nn.CrossEntropyLoss(
        weight=torch.tensor(by_class).float(),
        label_smoothing=config.label_smoothing,
        reduction="none",
    )
    optimizer = torch.optim.SGD(
        model.parameters(),
        lr=config.lr,
        momentum=config.momentum,
        nesterov=True,
        weight_decay=config.weight_decay,
    )
    size, steps = config.batch_size, len(labels) // config.batch_size
    for step in range(config.epochs * steps):
        epoch, place = divmod(step, steps)
        order = sample_order(config, task.seed, epoch, data.train.labels)
        index = order[place * size : (place + 1) * size]
        images, _ = pictured(views.batch(index, epoch))
        angle = math.pi * step / (config.epochs * steps)
        optimizer.param_groups[0]["lr"] = config.lr * (1 + math.cos(angle)) / 2
        optimizer.zero_grad()
        weights = torch.tensor(own[index]).float()
        ((loss(model(images), data.train.labels[index]) * weights).mean() / mean).backward()
        optimizer.step()
    return model


@pytest.mark.parametrize("settings", BALANCES)
def test_a_training_on_a_table_is_the_plain_loop(
    data: Dataset, make_task: Callable[..., Task], settings: dict[str, Any]
) -> None:
    assert (len(data.train), len(data.validation), len(data.test)) == (72, 24, 24)
    assert data.classes == CLASSES
    task = make_task(batch_size=18, clip_grad_norm=None, **settings)
    trainer = Trainer(task, data)
    finish(trainer)
    assert_same_weights(trainer.student, plain_training(task, data), 1e-5)


def test_evaluation_knows_no_weights(data: Dataset, make_task: Callable[..., Task]) -> None:
    balanced = {"class_weights": {"dark": 7.0}, "sampling": "balanced"}
    trainer = Trainer(make_task(batch_size=18, **balanced), data)
    plain = Trainer(
        make_task(batch_size=18), replace(data, train=replace(data.train, weights=None))
    )
    plain.student.load_state_dict(trainer.student.state_dict())
    assert trainer.evaluate_validation() == plain.evaluate_validation()


def test_a_resumed_training_draws_what_an_uninterrupted_one_draws(
    data: Dataset, make_task: Callable[..., Task]
) -> None:
    task = make_task(batch_size=18, epochs=3, sampling="balanced", class_weights={"mid": 2.0})
    whole, begun, resumed = (Trainer(task, data) for _ in range(3))
    finish(whole)
    begun.train_epoch()
    resumed.load_state_dict(through_a_file(begun.state_dict()))
    finish(resumed)
    assert_same_weights(resumed.student, whole.student)
