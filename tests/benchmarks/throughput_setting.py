"""What both sides train: teacher, student, epochs, and the configurations of the search."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from studies import study_spec

from kdsearch.spec.concrete import ModelConfig
from kdsearch.spec.study import StudySpec

TEACHER = ModelConfig(family="resnet", depth=32, width=4)
STUDENT = ModelConfig(family="resnet", depth=8, width=4)
BATCH = 64
CLASSES = 10
WEIGHT, CE_WEIGHT = 0.9, 0.1
LR, TEMPERATURE = (0.01, 0.1), (1.0, 8.0)
"""Ranges of the search."""

Config = dict[str, float]
"""``lr`` and ``temperature`` of a trial."""


@dataclass(frozen=True)
class Setting:
    """What the benchmark trains; beside the training images stand a quarter for validation.

    Attributes:
        epoch_images: Training images of an epoch that is measured alone; a multiple of the
            batch, as are those of a search.
        rounds: Such epochs of each side.
        search_images: Training images of a search.
        trials: Trials of a search.
        epochs: Epochs of such a trial.
        searches: Searches of kdsearch, and of its faster opponent.
    """

    epoch_images: int = 192
    rounds: int = 4
    search_images: int = 640
    trials: int = 20
    epochs: int = 2
    searches: int = 1

    def epoch_spec(self, folder: Path, archive: Path | None, epochs: int) -> StudySpec:
        """The study whose epochs are measured alone."""
        return self._spec(folder, archive, self.epoch_images, epochs)

    def search_spec(self, folder: Path, archive: Path | None) -> StudySpec:
        """The study whose search is measured."""
        return self._spec(folder, archive, self.search_images, self.epochs)

    def _spec(self, folder: Path, archive: Path | None, train: int, epochs: int) -> StudySpec:
        validation = train // 4
        samples = train + validation
        options = {"samples": samples, "test": CLASSES, "shape": [3, 32, 32], "classes": CLASSES}
        return study_spec(
            folder,
            "throughput",
            options | {"archive": archive and str(archive.resolve())},
            data={"validation": validation / samples, "augment": {"crop": 4, "flip": True}},
            teacher=TEACHER.model_dump(),
            students=[STUDENT.model_dump(include={"family", "depth", "width"})],
            methods={
                "kd": {
                    "weight": WEIGHT,
                    "ce_weight": CE_WEIGHT,
                    "temperature": {"low": TEMPERATURE[0], "high": TEMPERATURE[1]},
                }
            },
            training={
                "epochs": epochs,
                "batch_size": BATCH,
                "lr": {"low": LR[0], "high": LR[1], "log": True},
            },
            search={"trials": self.trials},
            resources={"concurrent": 2},
        )

    def configs(self) -> list[Config]:
        """What every search tries."""
        drawn = np.random.default_rng(0).random((self.trials, 2))
        return [
            {
                "lr": float(LR[0] * (LR[1] / LR[0]) ** first),
                "temperature": float(TEMPERATURE[0] + (TEMPERATURE[1] - TEMPERATURE[0]) * second),
            }
            for first, second in drawn
        ]


QUICK = Setting(epoch_images=64, rounds=2, search_images=128, trials=6, searches=1)


def as_proposed(config: Config) -> dict[str, float | str]:
    """A configuration by the names that kdsearch's search gives its parameters."""
    return {"method": "kd", "kd.temperature": config["temperature"], "lr": config["lr"]}
