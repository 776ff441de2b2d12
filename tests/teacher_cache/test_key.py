"""The key follows everything that the answers are made from, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from kdsearch.data import Dataset, Scale, Split
from kdsearch.models import Signal
from kdsearch.spec.augmentation import Augmentation, ColorJitter
from kdsearch.spec.concrete import ModelConfig, Normalisation
from kdsearch.teacher_cache import cache_plan
from kdsearch.teacher_cache.cache_plan import SplitViews, content_key, teacher_digest
from kdsearch.training.teacher import Teacher
from tests.teacher_cache.helpers import CHANGING, MODEL, plan_of

MakeTeacher = Callable[[], Teacher]


def key_of(teacher: Teacher, data: Dataset, model: ModelConfig = MODEL, **changes: Any) -> str:
    views: dict[str, Any] = {"split": "train", "augment": CHANGING, "seed": 7, "epochs": 2}
    storing: dict[str, Any] = {"dtype": "float32", "top_k": None, "part": 100}
    for given in (views, storing):
        given.update({name: changes.pop(name) for name in given if name in changes})
    assert not changes
    return content_key(teacher_digest(teacher.network, model), data, SplitViews(**views), **storing)


def test_every_weight_and_statistic_of_the_teacher_counts(
    digits: Dataset, make_teacher: MakeTeacher
) -> None:
    keys = {key_of(make_teacher(), digits)}
    names = list(make_teacher().network.state_dict())
    for name in names:
        teacher = make_teacher()
        with torch.no_grad():
            value = teacher.network.state_dict()[name]
            last = (-1,) * value.ndim
            if value.is_floating_point():
                value[last] = torch.nextafter(value[last], torch.tensor(9.0))
            else:
                value[last] += 1
        keys.add(key_of(teacher, digits))
    assert len(keys) == 1 + len(names)
    assert key_of(make_teacher(), digits) in keys


def test_weights_in_half_precision_have_a_digest(make_teacher: MakeTeacher) -> None:
    digests = {
        teacher_digest(make_teacher().network.to(dtype), MODEL)
        for dtype in (torch.float32, torch.bfloat16, torch.float16)
    }
    assert len(digests) == 3


def test_the_architecture_counts(digits: Dataset, make_teacher: MakeTeacher) -> None:
    teacher = make_teacher()
    models = [
        MODEL,
        MODEL.model_copy(update={"depth": 4}),
        MODEL.model_copy(update={"width": 0.5}),
        MODEL.model_copy(update={"family": "resnet"}),
        MODEL.model_copy(update={"image_size": 12}),
        MODEL.model_copy(update={"normalise": Normalisation(mean=(0.5,), std=(0.2,))}),
        MODEL.model_copy(update={"normalise": Normalisation(mean=(0.5,), std=(0.3,))}),
    ]
    assert len({key_of(teacher, digits, model) for model in models}) == len(models)


def changed(values: Tensor, place: tuple[int, ...]) -> Tensor:
    values = values.clone()
    values[place] = (values[place] + 1) % 10
    return values


def with_split(data: Dataset, name: str, split: Split) -> Dataset:
    changes: dict[str, Any] = {name: split}
    return replace(data, **changes)


@pytest.mark.parametrize("name", ["train", "validation", "test"])
def test_every_image_and_label_counts(
    digits: Dataset, make_teacher: MakeTeacher, name: str
) -> None:
    teacher = make_teacher()
    split: Split = getattr(digits, name)
    images = split.images
    assert isinstance(images, Tensor)
    data = [
        digits,
        with_split(digits, name, Split.of_classes(changed(images, (3, 0, 7, 7)), split.labels)),
        with_split(digits, name, Split.of_classes(images, changed(split.labels, (5,)))),
        with_split(digits, name, split.take(torch.arange(len(split) - 1))),
        with_split(digits, name, split.take(torch.arange(len(split)).flip(0))),
    ]
    assert len({key_of(teacher, one) for one in data}) == len(data)


def test_which_split_and_what_normalises_it_counts(
    digits: Dataset, make_teacher: MakeTeacher
) -> None:
    teacher, scale = make_teacher(), digits.scales["image"]
    darker = Scale((scale.mean[0] + 1e-6,), scale.std)
    wider = Scale(scale.mean, (scale.std[0] + 1e-6,))
    keys = {
        key_of(teacher, digits),
        key_of(teacher, digits, split="validation"),
        key_of(teacher, digits, split="test"),
        key_of(teacher, replace(digits, scales={"image": darker})),
        key_of(teacher, replace(digits, scales={"image": wider})),
    }
    assert len(keys) == 5


def test_every_change_of_the_images_and_its_seed_count(
    digits: Dataset, make_teacher: MakeTeacher
) -> None:
    teacher = make_teacher()
    settings: list[dict[str, Any]] = [
        {"crop": 1},
        {"crop": 2},
        {"flip": True},
        {"cutout": 1},
        {"mixup": 0.1},
        {"mixup": 0.2},
        {"crop": 1, "mixup": 0.2},
        {"cutmix": 0.2},
        {"random_resized_crop": {}},
        {"random_resized_crop": {"scale": [0.1, 1]}},
        {"random_resized_crop": {"ratio": [0.75, 1.25]}},
        {"vertical_flip": True},
        {"rotation": 1},
        {"rotation": 1.5},
        {"trivial_augment": True},
        {"rand_augment": {}},
        {"rand_augment": {"operations": 1}},
        {"rand_augment": {"magnitude": 8}},
        *({"color_jitter": {name: 0.1}} for name in ColorJitter.model_fields),
        {"color_jitter": {"hue": 0.2}},
        {"random_erasing": {}},
        {"random_erasing": {"probability": 0.25}},
        {"random_erasing": {"scale": [0.02, 0.4]}},
        {"random_erasing": {"ratio": [0.3, 3]}},
    ]
    augments = [Augmentation(**setting) for setting in settings]
    assert {name for setting in settings for name in setting} == set(Augmentation.model_fields)
    keys = {
        key_of(teacher, digits, augment=augment, seed=seed)
        for augment in augments
        for seed in (7, 8)
    }
    assert len(keys) == 2 * len(augments)
    plain = {
        key_of(teacher, digits, augment=augment, seed=seed)
        for augment in (None, Augmentation())
        for seed in (7, 8)
    }
    assert len(plain) == 1
    assert not plain & keys


def test_the_way_of_storing_counts(
    digits: Dataset, make_teacher: MakeTeacher, monkeypatch: pytest.MonkeyPatch
) -> None:
    teacher = make_teacher()
    changes: list[dict[str, Any]] = [
        {},
        {"dtype": "float16"},
        {"top_k": 3},
        {"top_k": 4},
        {"part": 101},
    ]
    keys = {key_of(teacher, digits, **change) for change in changes}
    monkeypatch.setattr(cache_plan, "FORMAT", cache_plan.FORMAT + 1)
    keys.add(key_of(teacher, digits))
    assert len(keys) == len(changes) + 1


def test_epochs_budget_folder_and_process_do_not_count(
    digits: Dataset, make_teacher: MakeTeacher, tmp_path: Path
) -> None:
    an_epoch = 240 * 10 * 4
    plans = [
        plan_of(make_teacher(), digits, tmp_path, {Signal.LOGITS}),
        plan_of(make_teacher(), digits, tmp_path / "other", {Signal.LOGITS}),
        plan_of(make_teacher(), digits, tmp_path, {Signal.LOGITS}, epochs=9),
        plan_of(make_teacher(), digits, tmp_path, {Signal.LOGITS}, epochs=9, budget=an_epoch),
        plan_of(make_teacher(), digits, tmp_path, {Signal.LOGITS, Signal.EMBEDDING}),
    ]
    assert [plan.cached[Signal.LOGITS] for plan in plans] == [2, 2, 9, 1, 2]
    assert len({plan.key for plan in plans}) == 1
