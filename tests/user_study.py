"""A user's folder with a small study in it, and ways to run it from the command line."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from kdsearch.data import load_dataset
from kdsearch.models.weights import save_weights
from kdsearch.spec import load_spec
from kdsearch.training.teacher_store import teacher_task
from tests.empty_database import put_database
from tests.interrupts import interruptible
from tests.teachers import trained

SPEC = """
study: {name: tiny, seed: 3, directory: studies}
data: {source: digits, validation: 0.2, test: 0.25, augment: {crop: 1}}
teacher:
  model: {family: convnet, width: 1, depth: 2}
  training: {epochs: 4}
students:
  - {family: convnet, width: {low: 0.2, high: 1.0, log: true}, depth: {choices: [1, 2]}}
  - {family: "own_students:bottleneck", width: {low: 0.1, high: 0.5, log: true}}
methods: [none, kd, dist, kd+fitnet]
training: {epochs: 2, lr: {low: 0.02, high: 0.2, log: true}, clip_grad_norm: 5}
search: {trials: 14}
finalists: {seeds: 2, max: 3, int8: false, latency: false}
"""

OWN = """
import os, pathlib, signal, sys
from torch import nn

def bottleneck(image_shape, classes, width):
    hidden = max(1, round(int(pathlib.Path("own_base.txt").read_text()) * width))
    return nn.Sequential(
        nn.Conv2d(image_shape[0], hidden, 3, padding=1), nn.ReLU(),
        nn.MaxPool2d(2), nn.Conv2d(hidden, hidden, 3, padding=1), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(hidden, classes),
    )

def in_a_trial():
    return "default_worker" in sys.argv[0]

def lost_once(image_shape, classes, width):
    marker = pathlib.Path(__file__).with_name("lost")
    if in_a_trial() and not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return bottleneck(image_shape, classes, width)

def always_lost(image_shape, classes, width):
    if in_a_trial():
        os.kill(os.getpid(), signal.SIGKILL)
    return bottleneck(image_shape, classes, width)

def broken_before(image_shape, classes, width):
    if in_a_trial() and not pathlib.Path(__file__).with_name("fixed").exists():
        raise RuntimeError("not fixed yet")
    return bottleneck(image_shape, classes, width)

def broken_later(image_shape, classes, width):
    here = pathlib.Path(__file__).parent
    if in_a_trial() and not (here / "mended").exists() and list(here.glob("studies/later/final*")):
        raise RuntimeError("broken among the finalists")
    return bottleneck(image_shape, classes, width)

def broken(image_shape, classes, width):
    if in_a_trial():
        raise RuntimeError("the user's own mistake")
    return bottleneck(image_shape, classes, width)
"""


def command(*words: str) -> list[str]:
    return [str(Path(sys.executable).with_name("kdsearch")), *words]


def make_folder(path: Path) -> Path:
    """Put the spec, a module with student families of the user's own and a store into a folder."""
    (path / "space.yaml").write_text(SPEC)
    (path / "own_students.py").write_text(OWN)
    (path / "own_base.txt").write_text("64")  # which is read by its relative path
    put_database(path)
    return path


def run_whole(path: Path, spec: str, module: str, code: str) -> str:
    """Run a study in a folder, with a module beside it; what the command printed.

    Tests that read the study load the module, so each has a name of its own.
    """
    put_database(path)
    (path / "space.yaml").write_text(spec)
    (path / f"{module}.py").write_text(code)
    done = subprocess.run(
        command("run", "space.yaml"), cwd=path, capture_output=True, text=True, timeout=900
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


TAUGHT = "teacher.checkpoint=teacher.safetensors"
"""For a study that takes the teacher of :func:`train_teacher`."""


def train_teacher(folder: Path) -> None:
    """Train the folder's teacher in this process.

    For studies whose subject is another: to start Ray Train costs more than their trials.
    """
    spec = load_spec(folder / "space.yaml")
    network, _ = trained(teacher_task(spec), load_dataset(spec.data))
    save_weights(network, folder / "teacher.safetensors")


def start(folder: Path, words: list[str]) -> subprocess.Popen[str]:
    """Start the command in a session of its own, so that a signal reaches it, and it alone."""
    with interruptible():
        return subprocess.Popen(
            command(*words),
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )


def wait_until(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    """Wait for something that the running command brings about."""
    deadline = time.monotonic() + 900
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.1)


def lines(file: Path) -> int:
    """Whole lines of a file that may not be there yet."""
    return file.read_bytes().count(b"\n") if file.exists() else 0
