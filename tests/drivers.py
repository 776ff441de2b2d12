"""Drivers of studies in processes of their own, to be killed, on a Ray that outlives them."""

from __future__ import annotations

import json
import multiprocessing
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest
import ray

from tests.driving import drive
from tests.user_study import lines

Start = Callable[..., BaseProcess]

_IMPORTED = ["mlflow", "optuna", "pandas", "scipy.stats", "torch._dynamo", "torch.onnx"]
"""What every driver is forked with. Not Ray, which reads the environment when it is imported."""


@contextmanager
def drivers(folder: Path) -> Iterator[Start]:
    """``start("name", resume, "search.trials=4", ...)``: a driver of the folder's study."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_IMPORTED)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(folder), prepend=os.pathsep)
        patch.chdir(folder)  # where its workers run, and read what has a relative path
        quiet = {"include_dashboard": False, "log_to_driver": False, "logging_level": "error"}
        address = ray.init(address="local", num_cpus=2, **quiet).address_info["address"]

        def start(name: str, resume: bool, *changes: str) -> BaseProcess:
            # the server of the forks may be older than this Ray's token and an object store's keys
            needed = {key: v for key, v in os.environ.items() if key.startswith(("AWS_", "RAY_"))}
            process = context.Process(
                target=drive, args=(needed, folder, name, address, resume, *changes)
            )
            process.start()
            return process

        try:
            yield start
        finally:
            ray.shutdown()


def come_so_far(path: Path) -> tuple[str, int]:
    """The phase of a study, and how much its journals hold."""
    try:
        phase = json.loads((path / "study.json").read_text()).get("phase", "")
    except OSError:
        return "", 0
    return phase, lines(path / "trials.jsonl") + lines(path / "finalists.jsonl")


def kill_when(reached: Callable[[], bool], process: BaseProcess) -> int:
    """Kill a driver when its study has come so far; whether it was, as a number."""
    deadline = time.monotonic() + 900
    while process.is_alive() and time.monotonic() < deadline:
        if reached():
            process.kill()
            process.join(300)
            return 1
        time.sleep(0.005)
    process.join(300)
    return 0


def to_the_end(process: BaseProcess) -> None:
    """Wait for a driver that nobody kills."""
    process.join(900)
    assert process.exitcode == 0
