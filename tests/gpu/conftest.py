"""What the tests on a CUDA device share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from kdsearch.data import Dataset
from kdsearch.training.hardware import Hardware
from kdsearch.training.task import Task
from kdsearch.training.teacher import Teacher
from kdsearch.training.trainer import Trainer

MakeTrainer = Callable[..., Trainer]


@pytest.fixture
def device() -> torch.device:
    return torch.device("cuda")


@pytest.fixture
def whole_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    """Convolutions in float32 to the last bit, where they are in TF32 by default."""
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)


@pytest.fixture
def make_trainer(
    digits: Dataset, make_task: Callable[..., Task], make_teacher: Callable[[], Teacher]
) -> MakeTrainer:
    """``make_trainer(hardware or device, label, ...)``: as ``make_task``, with its teacher."""

    def make(on: Hardware | torch.device | str, label: str = "none", **options: Any) -> Trainer:
        hardware = on if isinstance(on, Hardware) else Hardware.on(on)
        teacher = Teacher(make_teacher().network, hardware.device) if label != "none" else None
        return Trainer(make_task(label, **options), digits, teacher, hardware)

    return make
