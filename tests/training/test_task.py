"""The key of a task: its content and nothing else."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable

import pytest

from kdsearch.training.task import Task


def test_the_key_survives_a_dump_and_is_a_sha256(make_task: Callable[..., Task]) -> None:
    task = make_task("kd+fitnet", {"kd.temperature": 3}, augment={"crop": 1})
    again = Task.model_validate_json(task.model_dump_json())
    assert again == task
    assert again.key == task.key
    assert len(bytes.fromhex(task.key)) == 32


def test_settings_that_came_later_leave_earlier_keys_as_they_were(
    make_task: Callable[..., Task],
) -> None:
    task = make_task("kd")
    content = task.model_dump(mode="json")
    added = ("class_weights", "sampling", "unlabelled_ratio", "target_ratio", "decay_norms", "ema")
    for name in (*added, "fine_tuning"):
        del content["training"][name]
    for name in ("strong", "task_weights", "uncertainty", "tasks", "two_domains", "parent"):
        del content[name]
    earlier = json.dumps(content, sort_keys=True).encode()
    assert task.key == hashlib.sha256(earlier).hexdigest()
    others = ({"task_weights": {"ink": 2.0}}, {"uncertainty": True}, {"two_domains": True})
    keys = {task.model_copy(update=each).key for each in others}
    assert len(keys | {task.key}) == 4


@pytest.mark.parametrize(
    "change",
    [
        {"label": "dkd"},
        {"values": {"temperature": 2.0}},
        {"model": {"family": "convnet", "width": 0.6, "depth": 2}},
        {"augment": {"flip": True}},
        {"strong": {"flip": True}},
        {"seed": 2},
        {"views_seed": 8},
        {"lr": 0.01},
        {"epochs": 3},
        {"label_smoothing": 0.1},
        {"class_weights": "balanced"},
        {"class_weights": {"0": 2.0}},
        {"sampling": "balanced"},
        {"decay_norms": False},
        {"ema": 0.99},
        {"fine_tuning": {"pretrained_lr": 0.1}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_the_key_changes_with_every_part(
    make_task: Callable[..., Task], change: dict[str, object]
) -> None:
    assert make_task(**{"label": "kd"} | change).key != make_task("kd").key
