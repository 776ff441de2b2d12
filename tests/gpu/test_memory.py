"""What a trial takes of a CUDA device's memory, and what it gives back."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from kdsearch.training.hardware import Hardware
from kdsearch.training.trainer import Trainer
from tests.conftest import ROOT
from tests.gpu.actor import hold, idle_actor, take_up

MakeTrainer = Callable[..., Trainer]

pytestmark = pytest.mark.gpu

NEAR = 64 << 20
"""Bytes that libraries may keep: workspaces, and the blocks they lie in."""

LARGE = {"family": "convnet", "width": 32, "depth": 3}

SHARE = """
import torch
from kdsearch.spec.sections import ResourcesSection
from kdsearch.training.hardware import Hardware

def take(share):
    return torch.empty(int(share * torch.cuda.mem_get_info()[1]), dtype=torch.uint8, device="cuda")

take(0.3)  # there is room for it
torch.cuda.empty_cache()
assert Hardware.of(ResourcesSection(gpus_per_trial=0.25)).device.type == "cuda"
take(0.2)
torch.cuda.empty_cache()
try:
    take(0.3)
except torch.OutOfMemoryError:
    print("refused")
"""

TOO_LARGE = """
import sys
from pathlib import Path
import torch
from kdsearch.data import load_dataset
from kdsearch.spec.concrete import ModelConfig, TrainingConfig
from kdsearch.methods import method_config
from kdsearch.spec.sections import Augmentation, DataSection, ResourcesSection
from kdsearch.training.hardware import Hardware
from kdsearch.training.programs import begin_training
from kdsearch.training.task import Task
from tests.gpu.actor import hold, idle_actor, take_up

hardware = Hardware.of(ResourcesSection(gpus_per_trial=0.25))
task = Task(
    model=ModelConfig(family="convnet", width=16, depth=3),
    method=method_config("none", {}),
    training=TrainingConfig(epochs=1, batch_size=1000),
    augment=Augmentation(), views_seed=1, seed=1,
)
trial = idle_actor(hardware)
take_up(trial, task, Path(sys.argv[1]) / "crash.log")
data = load_dataset(DataSection(source="digits", validation=0.1, test=0.1))
hold(trial, begin_training(task, data, {}, hardware))
torch.cuda.empty_cache()
left = int(0.25 * torch.cuda.mem_get_info()[1]) - torch.cuda.memory_reserved()
taken = torch.empty(left - (32 << 20), dtype=torch.uint8, device="cuda")
result = trial.step()
trial.cleanup()
print(result["done"], result["failed"])
"""


def told(script: str, *args: str) -> str:
    """What a process of its own prints, whose limit goes with it."""
    command = [sys.executable, "-c", script, *args]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


def in_use() -> tuple[int, int]:
    torch.cuda.synchronize()
    return torch.cuda.memory_allocated(), torch.cuda.memory_reserved()


@pytest.mark.parametrize("compiled", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_trial_gives_its_memory_back(
    make_trainer: MakeTrainer, device: torch.device, compiled: bool
) -> None:
    """By the next one's begin."""
    hardware = Hardware(device, compiled=compiled)
    trial, left = idle_actor(hardware), []
    for seed in range(4):
        trainer = make_trainer(hardware, "kd+fitnet", model=LARGE, seed=seed)
        hold(trial, trainer)
        task = trainer.task
        trainer.train_epoch()
        taken = torch.cuda.memory_allocated()
        del trainer
        take_up(trial, task)
        left.append(in_use())
        assert left[-1][0] < taken - 2 * NEAR
    # the first one loads the libraries
    for allocated, reserved in left[1:]:
        assert allocated == pytest.approx(left[0][0], abs=NEAR)
        assert reserved == pytest.approx(left[0][1], abs=NEAR)


def test_a_share_of_the_device_is_all_that_a_process_gets() -> None:
    assert told(SHARE) == "refused\n"


def test_a_training_that_needs_more_than_its_share_fails_with_the_reason(tmp_path: Path) -> None:
    found = told(TOO_LARGE, str(tmp_path))
    assert found.startswith("True OutOfMemoryError: CUDA out of memory")
