"""The students whose training step is measured."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from images import noise

from kdsearch.data import Dataset, Scale, Split
from kdsearch.methods import method_config
from kdsearch.problems import Problem
from kdsearch.spec.concrete import ModelConfig, TrainingConfig
from kdsearch.spec.sections import Augmentation
from kdsearch.training.task import Task

BATCH = 64
VALIDATION = 64


@dataclass(frozen=True)
class Case:
    """A student, and what it is trained on.

    Attributes:
        name: Its name in the results.
        model: The student.
        teacher: Who teaches where the teacher is asked live.
        shape: (channels, height, width) of the images.
        classes: Number of classes.
        crop: Padding of the random crop.
        steps: Steps of an epoch.
    """

    name: str
    model: ModelConfig
    teacher: ModelConfig
    shape: tuple[int, int, int]
    classes: int
    crop: int
    steps: int

    def task(self, label: str, epochs: int) -> Task:
        """The training of a trial by a method of kdsearch."""
        return Task(
            model=self.model,
            method=method_config(label, {}),
            training=TrainingConfig(epochs=epochs, batch_size=BATCH),
            augment=Augmentation(crop=self.crop, flip=True),
            views_seed=0,
            teacher=None if label == "none" else "teacher",
            seed=0,
        )

    def data(self) -> Dataset:
        """Noise in the form of a data set."""
        images, labels = noise(self.steps * BATCH + VALIDATION, self.shape, self.classes)
        whole = Split.of_classes(torch.from_numpy(images), torch.from_numpy(labels))
        places = torch.arange(len(whole)).split([self.steps * BATCH, VALIDATION])
        train, validation = (whole.take(part) for part in places)
        channels, problem = self.shape[0], Problem.of_classes(map(str, range(self.classes)))
        scales = {"image": Scale((0.5,) * channels, (0.289,) * channels)}
        return Dataset("noise", train, validation, validation, scales, problem=problem)


_RESNET = Case(
    "resnet8x4",
    ModelConfig(family="resnet", depth=8, width=4),
    ModelConfig(family="resnet", depth=32, width=4),
    (3, 32, 32),
    classes=100,
    crop=4,
    steps=8,
)
_CONVNET = Case(
    "convnet",
    ModelConfig(family="convnet", width=1, depth=3),
    ModelConfig(family="convnet", width=4, depth=3),
    (1, 28, 28),
    classes=10,
    crop=2,
    steps=128,
)
CASES = {
    "cpu": (_RESNET, _CONVNET),
    "cuda": (replace(_RESNET, steps=400), replace(_CONVNET, steps=400)),
}
"""By the kind of device."""
