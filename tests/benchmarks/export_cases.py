"""What the export benchmark trains: every family, and every kind of network that a study ships."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.datasets import load_diabetes

from kdsearch.data import Dataset, RawData, Scale, load_dataset
from kdsearch.data.dataset import Split
from kdsearch.graphs.samples import SampleNetwork
from kdsearch.methods import UNDISTILLED, method_config
from kdsearch.models import Network, build_network
from kdsearch.models.weights import round_to_stored
from kdsearch.problems import Problem
from kdsearch.spec.concrete import ModelConfig, TrainingConfig
from kdsearch.spec.sections import DataSection
from kdsearch.spec.study import StudySpec
from kdsearch.training.task import Task
from kdsearch.training.trainer import Trainer

FAMILIES: tuple[dict[str, Any], ...] = (
    {"family": "convnet", "width": 0.5, "depth": 3},
    {"family": "mlp", "depth": 2},
    {"family": "resnet", "width": 0.5, "depth": 8},
    {"family": "bottleneck_resnet", "width": 0.25, "depth": 26},
    {"family": "wide_resnet", "width": 1, "depth": 10},
    {"family": "vgg", "width": 0.25, "depth": 8},
    {"family": "mobilenet_v2", "width": 0.5},
    {"family": "shufflenet_v1", "width": 0.5},
    {"family": "shufflenet_v2", "width": 0.5},
)

TORCHVISION = (
    "resnet18",
    "mobilenet_v3_small",
    "shufflenet_v2_x0_5",
    "squeezenet1_1",
    "efficientnet_b0",
)
"""Untrained, on images of 64 × 64 pixels: their accuracy says nothing here."""

_ADOPTS = ModelConfig(family="convnet", width=1, depth=3)


@dataclass(frozen=True)
class Case:
    """A network to train and export.

    Attributes:
        name: Its row.
        data: ``digits``, ``fashion``, ``diabetes`` or ``noise``.
        model: The network.
        epochs: Of its training; 0: none.
    """

    name: str
    data: str
    model: ModelConfig
    epochs: int


def cases(quick: bool, root: Path | None) -> Iterator[Case]:
    """The rows of the table.

    Args:
        quick: Three small ones, trained for an epoch.
        root: Folder of Fashion-MNIST; without it the rows that need it are left out.
    """
    epochs = 1 if quick else 15
    families = FAMILIES[:3] if quick else FAMILIES
    for model in families:
        yield Case(model["family"], "digits", ModelConfig(**model), epochs)
    small = ModelConfig(family="convnet", width=0.5, depth=3)
    yield Case("simkd (adopts)", "digits", small.model_copy(update={"adopts": _ADOPTS}), epochs)
    half = small.model_copy(update={"stored": "float16"})
    yield Case("convnet, float16", "digits", half, epochs)
    yield Case("mlp on numbers", "diabetes", ModelConfig(family="mlp", depth=2), 4 * epochs)
    if root is not None:
        for model in (FAMILIES[0], FAMILIES[1], FAMILIES[2], FAMILIES[6]):
            yield Case(model["family"], "fashion", ModelConfig(**model), 1 if quick else 4)
    for name in () if quick else TORCHVISION:
        yield Case(f"torchvision/{name}", "noise", ModelConfig(family=f"torchvision/{name}"), 0)


def diabetes() -> RawData:
    """Ten numbers of 442 patients, and how their disease went on after a year."""
    found = load_diabetes(scaled=False)
    return RawData({"numbers": found.data}, {"progression": found.target})


def trained(case: Case, root: Path | None) -> tuple[SampleNetwork, Dataset]:
    """A case's network, and its data."""
    data = _noise() if case.data == "noise" else _loaded(case.data, root)
    torch.manual_seed(0)
    network = build_network(case.model, data.inputs, data.outputs)
    if case.epochs:
        network = _train(case, data)
    else:
        _settle(network, data)
    round_to_stored(network)
    return SampleNetwork.of(network.eval(), data, DataSection(source=data.name)), data


def _train(case: Case, data: Dataset) -> Network:
    task = Task(
        model=case.model,
        method=method_config(UNDISTILLED, {}),
        training=TrainingConfig(epochs=case.epochs, batch_size=64, lr=0.05, clip_grad_norm=5.0),
        views_seed=0,
        seed=1,
    )
    trainer = Trainer(task, data)
    while not trainer.finished:
        trainer.train_epoch()
    return trainer.student


@cache
def _loaded(name: str, root: Path | None) -> Dataset:
    if name == "diabetes":
        spec = StudySpec.model_validate(
            {
                "study": {"name": "diabetes"},
                "data": {"source": "export_cases:diabetes", "validation": 0.2},
                "problem": {"tasks": {"progression": "value"}},
                "teacher": {"model": {"family": "mlp"}},
                "students": [{"family": "mlp"}],
                "methods": ["none"],
            }
        )
        return load_dataset(spec.data, Problem.of(spec))
    if name == "fashion":
        return load_dataset(DataSection(source="fashion_mnist", root=root, limit=7_200))
    return load_dataset(DataSection(source=name))


def _noise() -> Dataset:
    """Random images with random classes."""
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (96, 3, 64, 64), dtype=np.uint8)
    split = Split.of_classes(torch.from_numpy(images), torch.arange(96) % 10)
    scales = {"image": Scale((0.5,) * 3, (0.29,) * 3)}
    classes = Problem.of_classes(str(number) for number in range(10))
    return Dataset("noise", split, split, split, scales, problem=classes)


def _settle(network: Network, data: Dataset) -> None:
    """Give batch normalisation the statistics of the data."""
    network.train()
    with torch.no_grad():
        for _ in range(3):
            network(data.train.images[:32].float() / 128 - 1)
