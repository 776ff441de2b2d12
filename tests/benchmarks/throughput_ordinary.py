"""Distillation as it is ordinarily written, and the searches over it: kdsearch's opponents."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import ray
import torch
import torch.nn.functional as F  # noqa: N812
from PIL import Image
from ray import tune
from ray.tune.search.optuna import OptunaSearch
from safetensors.torch import load_file
from studies import quieten
from throughput_setting import (
    BATCH,
    CE_WEIGHT,
    CLASSES,
    LR,
    STUDENT,
    TEACHER,
    TEMPERATURE,
    WEIGHT,
    Config,
)
from torch import Tensor
from torch.utils.data import DataLoader
from torchvision import transforms

from kdsearch.data import load_dataset
from kdsearch.models import Network, build_network, of_images
from kdsearch.spec.concrete import ModelConfig
from kdsearch.spec.study import StudySpec

LOADERS = 2


@dataclass(frozen=True)
class Material:
    """What the ordinary loop is given.

    Attributes:
        train: Images uint8 [N, H, W, C] and their labels, as torchvision's data sets hold them.
        validation: Likewise.
        mean: [C] of the training images.
        std: [C] likewise.
        checkpoint: The teacher's weights.
    """

    train: tuple[np.ndarray, list[int]]
    validation: tuple[np.ndarray, list[int]]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    checkpoint: Path

    @staticmethod
    def of(spec: StudySpec) -> Material:
        """The very images and teacher of a study."""
        data, checkpoint = load_dataset(spec.data), spec.teacher.checkpoint
        assert checkpoint is not None
        train, validation = (
            (split.images[:].permute(0, 2, 3, 1).contiguous().numpy(), split.labels.tolist())
            for split in (data.train, data.validation)
        )
        scale = data.scales["image"]
        return Material(train, validation, scale.mean, scale.std, checkpoint)


class Images(torch.utils.data.Dataset):
    """Images in memory, each taken through PIL as torchvision's own data sets do."""

    def __init__(
        self, held: tuple[np.ndarray, list[int]], transform: Callable[..., Tensor]
    ) -> None:
        self._images, self._labels = held
        self._transform = transform

    def __len__(self) -> int:
        return len(self._labels)

    def __getitem__(self, place: int) -> tuple[Tensor, int]:
        return self._transform(Image.fromarray(self._images[place])), self._labels[place]


class Ordinary:
    """One training.

    Args:
        material: Images and teacher.
        config: The trial.
        epochs: Its epochs.
        loaders: Worker processes of a ``DataLoader``.
    """

    def __init__(
        self, material: Material, config: Config, epochs: int, loaders: int = LOADERS
    ) -> None:
        as_tensor = [transforms.ToTensor(), transforms.Normalize(material.mean, material.std)]
        changes = [transforms.RandomCrop(32, padding=4), transforms.RandomHorizontalFlip()]
        train = Images(material.train, transforms.Compose([*changes, *as_tensor]))
        validation = Images(material.validation, transforms.Compose(as_tensor))
        # kept alive between epochs: their start would weigh more here than in epochs of full length
        workers: dict[str, Any] = {"num_workers": loaders}
        if loaders:
            # forked, as on Linux by default; a child of this benchmark would import all anew
            workers |= {"persistent_workers": True, "multiprocessing_context": "fork"}
        self._train = DataLoader(train, BATCH, shuffle=True, drop_last=True, **workers)
        self._validation = DataLoader(validation, 512, **workers)
        self._teacher = _network(TEACHER)
        self._teacher.load_state_dict(load_file(material.checkpoint))
        self._teacher.eval()
        self._student = _network(STUDENT)
        self._optimizer = torch.optim.SGD(
            self._student.parameters(), config["lr"], momentum=0.9, weight_decay=5e-4, nesterov=True
        )
        self._schedule = torch.optim.lr_scheduler.CosineAnnealingLR(self._optimizer, epochs)
        self._temperature = config["temperature"]

    def epoch(self) -> float:
        """Train for one epoch; accuracy on validation."""
        self._student.train()
        for images, labels in self._train:
            with torch.no_grad():
                answers = self._teacher(images)
            loss = self._loss(self._student(images), answers, labels)
            self._optimizer.zero_grad()
            loss.backward()
            self._optimizer.step()
        self._schedule.step()
        return self._evaluate()

    def _loss(self, logits: Tensor, answers: Tensor, labels: Tensor) -> Tensor:
        soft = F.kl_div(
            F.log_softmax(logits / self._temperature, dim=1),
            F.softmax(answers / self._temperature, dim=1),
            reduction="batchmean",
        )
        return WEIGHT * self._temperature**2 * soft + CE_WEIGHT * F.cross_entropy(logits, labels)

    def _evaluate(self) -> float:
        self._student.eval()
        correct = count = 0
        with torch.no_grad():
            for images, labels in self._validation:
                correct += int((self._student(images).argmax(dim=1) == labels).sum())
                count += len(labels)
        return correct / count


def _network(model: ModelConfig) -> Network:
    return build_network(model, of_images((3, 32, 32)), CLASSES)


def _ordinary_trial(config: Config, material: Material, epochs: int) -> None:
    training = Ordinary(material, config, epochs)
    for _ in range(epochs):
        tune.report({"accuracy": training.epoch()})


def by_ray_tune(
    material: Material, configs: Sequence[Config], epochs: int, folder: Path, cores: set[int]
) -> None:
    """The ordinary loop under Ray Tune, two trials at a time."""
    os.sched_setaffinity(0, cores)
    quieten()
    # the trial travels as it is: its actors import what it uses, and nothing of this file
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    ray.init(address="local", include_dashboard=False, log_to_driver=False, logging_level="error")
    trial = tune.with_parameters(_ordinary_trial, material=material, epochs=epochs)
    searcher = OptunaSearch(metric="accuracy", mode="max", points_to_evaluate=list(configs))
    tuner = tune.Tuner(
        tune.with_resources(trial, {"cpu": 1}),
        param_space={"lr": tune.loguniform(*LR), "temperature": tune.uniform(*TEMPERATURE)},
        tune_config=tune.TuneConfig(
            search_alg=searcher, num_samples=len(configs), max_concurrent_trials=2
        ),
        run_config=tune.RunConfig(storage_path=str(folder / "ray_tune"), verbose=0),
    )
    results = tuner.fit()
    assert not results.errors, results.errors[0]
    tried = sorted((result.config["lr"], result.config["temperature"]) for result in results)
    assert tried == sorted((config["lr"], config["temperature"]) for config in configs)
    ray.shutdown()


def one_after_another(
    material: Material, configs: Sequence[Config], epochs: int, cores: set[int]
) -> None:
    """The ordinary loop under Optuna in one process with a thread for each core."""
    os.sched_setaffinity(0, cores)
    torch.set_num_threads(len(cores))
    quieten()

    def objective(trial: optuna.Trial) -> float:
        lr = trial.suggest_float("lr", *LR, log=True)
        temperature = trial.suggest_float("temperature", *TEMPERATURE)
        training = Ordinary(material, {"lr": lr, "temperature": temperature}, epochs)
        return [training.epoch() for _ in range(epochs)][-1]

    study = optuna.create_study(direction="maximize")
    for config in configs:
        study.enqueue_trial(config)
    study.optimize(objective, n_trials=len(configs))
