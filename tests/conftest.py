"""What every part's tests share: one thread, small real data, trainings on it, and commands."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import torch

from kdsearch.data import Dataset, load_dataset
from kdsearch.methods import method_config
from kdsearch.spec.concrete import ModelConfig, TrainingConfig
from kdsearch.spec.sections import Augmentation, DataSection
from kdsearch.training.task import Task
from tests.command_line import CallCommand, call
from tests.user_study import command, make_folder


@pytest.fixture(scope="session", autouse=True)
def _one_thread_for_small_networks() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session", autouse=True)
def _ray_train_looks_often() -> Iterator[None]:
    """Ray Train asks its workers every 0.2 s instead of every 2, so a short teacher ends sooner."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_TRAIN_HEALTH_CHECK_INTERVAL_S", "0.2")
        yield


@pytest.fixture(scope="session")
def digits() -> Dataset:
    """240 training, 60 validation and 449 test scans of scikit-learn's digits, 8×8 grey."""
    return load_dataset(DataSection(source="digits", validation=0.2, test=0.25, limit=300))


@pytest.fixture(scope="session")
def make_task() -> Callable[..., Task]:
    """``make_task("kd+at", model={...}, seed=..., lr=...)``: 2 epochs of a small network."""

    def make(
        label: str = "none",
        values: dict[str, float] | None = None,
        model: dict[str, Any] | None = None,
        augment: dict[str, Any] | None = None,
        seed: int = 1,
        views_seed: int = 7,
        **training: Any,
    ) -> Task:
        small = {"family": "convnet", "width": 0.5, "depth": 2}
        short = {"epochs": 2, "batch_size": 60, "clip_grad_norm": 5.0}
        return Task(
            model=ModelConfig(**(model or small)),
            method=method_config(label, values or {}),
            training=TrainingConfig(**(short | training)),
            augment=Augmentation(**(augment or {})),
            views_seed=views_seed,
            seed=seed,
        )

    return make


@pytest.fixture(scope="module")
def short_folder() -> Iterator[Path]:
    """For the temporary files of processes that are killed, which cannot tidy up themselves.

    Short, since sockets lie in it and a socket's path may have 107 characters.
    """
    with TemporaryDirectory(prefix="kd", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@pytest.fixture
def call_command(capfd: pytest.CaptureFixture[str]) -> CallCommand:
    """``call_command("front", "studies/x")``: the command line, in this process."""
    return lambda *words: call(capfd, words)


@pytest.fixture(scope="session")
def user_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's folder with a small study's spec and a module of the user's own."""
    return make_folder(tmp_path_factory.mktemp("user"))


@pytest.fixture(scope="session")
def finished(user_folder: Path) -> subprocess.CompletedProcess[str]:
    """That study, ``tiny``, run from the command line with its output piped."""
    return subprocess.run(
        command("run", "space.yaml"), cwd=user_folder, capture_output=True, text=True, timeout=300
    )
