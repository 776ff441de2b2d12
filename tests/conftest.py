"""What every part's tests share: one thread, small real data, trainings on it, and commands."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, settings

from kdsearch.data import Dataset, load_dataset
from kdsearch.methods import method_config
from kdsearch.models import build_network
from kdsearch.spec import StudySpec, parse_spec
from kdsearch.spec.concrete import ModelConfig, TrainingConfig
from kdsearch.spec.sections import Augmentation, DataSection
from kdsearch.training.task import Task
from kdsearch.training.teacher import Teacher
from tests.command_line import CallCommand, call
from tests.empty_database import empty_database
from tests.training.own_networks import MARKER
from tests.user_study import command, make_folder
from tests.warm.start import forked_workers

ROOT = Path(__file__).parents[1]

# a busy machine is no reason to fail, and a failure comes again
settings.register_profile(
    "kdsearch", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("kdsearch")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests come first: the last of the workers to end has little to do alone."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)
    if torch.cuda.is_available():
        return
    for item in items:
        if item.get_closest_marker("gpu"):
            item.add_marker(pytest.mark.skip(reason="there is no CUDA device"))


@pytest.fixture(scope="session", autouse=True)
def _one_thread_for_small_networks() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session", autouse=True)
def _ray_is_quick() -> Iterator[None]:
    """Ray Train asks its workers every 0.2 s instead of every 2, so a short teacher ends sooner.

    And Ray's workers are no nicer than the tests beside them, behind which they would starve.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_worker_niceness", "0")
        patch.setenv("RAY_TRAIN_HEALTH_CHECK_INTERVAL_S", "0.2")
        yield


@pytest.fixture(scope="session", autouse=True)
def _ray_forks_its_workers(_ray_is_quick: None) -> Iterator[None]:
    """Workers are forked with their libraries imported, which takes longer than their trials do."""
    with forked_workers():
        yield


@pytest.fixture(scope="module", autouse=True)
def _no_ray_is_left() -> Iterator[None]:
    """A file's tests end every Ray that they connect to: the next one's would share it unasked."""
    yield
    ray = sys.modules.get("ray")
    if ray is not None and ray.is_initialized():
        ray.shutdown()
        pytest.fail("the tests of this file leave a Ray connected")


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
        strong: dict[str, Any] | None = None,
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
            strong=None if strong is None else Augmentation(**strong),
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
    """That study, ``tiny``, from the command line with its output piped, and without a home."""
    environment = {name: value for name, value in os.environ.items() if name != "MPLCONFIGDIR"}
    return subprocess.run(
        command("run", "space.yaml"),
        cwd=user_folder,
        env=environment | {"HOME": "/dev/null"},
        capture_output=True,
        text=True,
        timeout=900,
    )


@pytest.fixture(scope="session", name="empty_database")
def _empty_database() -> Path:
    return empty_database()


@pytest.fixture
def make_teacher(digits: Dataset) -> Callable[[], Teacher]:
    """A new teacher at each call, always with the same weights and batch statistics."""

    def make() -> Teacher:
        torch.manual_seed(5)
        config = ModelConfig(family="convnet", width=1, depth=3)
        network = build_network(config, digits.inputs, len(digits.classes))
        with torch.no_grad():
            for _ in range(20):
                network(torch.randn(32, *digits.inputs["image"].shape))
        return Teacher(network)

    return make


@pytest.fixture(scope="module")
def private_ray(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Two workers that know the networks of the tests, and a file where one that dies says so."""
    import ray

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(MARKER, str(tmp_path_factory.mktemp("marker") / "killed"))
        patch.setenv("PYTHONPATH", str(ROOT), prepend=os.pathsep)
        ray.init(
            address="local",
            num_cpus=2,
            include_dashboard=False,
            log_to_driver=False,
            logging_level="error",
        )
        yield
        ray.shutdown()


TEXT = """
study: {{name: tiny, seed: 3, directory: {directory}}}
data: {{source: digits, validation: 0.2, test: 0.25, limit: 400}}
teacher:
  model: {{family: convnet, width: 1, depth: 2}}
  training: {{epochs: 2}}
students:
  - {{family: convnet, width: {{low: 0.2, high: 1.0, log: true}}, depth: {{choices: [1, 2]}}}}
  - {{family: mlp, width: {{low: 0.1, high: 0.5, log: true}}, depth: 1}}
methods: [none, kd, dist, kd+fitnet]
training: {{epochs: 1, lr: {{low: 0.02, high: 0.2, log: true}}, clip_grad_norm: 5}}
search: {{trials: 12}}
finalists: {{seeds: 2, max: 2}}
tracking: {{uri: "sqlite:///{directory}/mlflow.db"}}
"""


@pytest.fixture
def spec_text(tmp_path: Path) -> str:
    return TEXT.format(directory=tmp_path)


@pytest.fixture
def spec(spec_text: str) -> StudySpec:
    return parse_spec(spec_text)


class SmallDisk:
    """A disk of 64 kB."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def change(self, *options: str) -> None:
        command = ["mount", "-o", ",".join(("remount", *options)), str(self.folder)]
        subprocess.run(command, check=True)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[SmallDisk]:
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no file system can be mounted here")
    yield SmallDisk(folder)
    subprocess.run(["umount", "-l", str(folder)], check=True)
