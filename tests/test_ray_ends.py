"""A study under which Ray's own servers are killed: one sentence, the state, and it goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from ray.cluster_utils import Cluster

from tests.user_study import TAUGHT, command, lines, make_folder, start, train_teacher, wait_until

pytestmark = pytest.mark.slow


def children(pid: int) -> dict[str, int]:
    """Names and ids of a process's children, as the kernel tells them."""
    ids = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return {Path(f"/proc/{each}/comm").read_text().strip(): int(each) for each in ids}


CHANGES = [TAUGHT, "finalists.max=1", "resources.concurrent=1"]


def words(trials: int) -> list[str]:
    changes = [f"search.trials={trials}", *CHANGES]
    return ["run", "space.yaml", *(w for change in changes for w in ("--set", change))]


@contextmanager
def own_ray() -> Iterator[tuple[list[str], Callable[[int], int]]]:
    """A study's private Ray: what else the command needs, and how its raylet is found."""
    yield [], lambda driver: children(driver)["raylet"]


@contextmanager
def cluster() -> Iterator[tuple[list[str], Callable[[int], int]]]:
    """A cluster's head, and how its control service is found."""
    quiet = {"num_cpus": 2, "include_dashboard": False}
    made = Cluster(initialize_head=True, head_node_args=quiet)
    try:
        servers = made.head_node.all_processes
        yield ["--address", made.address], lambda _: servers["gcs_server"][0].process.pid
    finally:
        made.shutdown()


@pytest.mark.parametrize(("ray", "server"), [(own_ray, "raylet"), (cluster, "gcs_server")])
def test_the_end_of_ray_is_told(tmp_path: Path, ray: Any, server: str) -> None:
    """Before Ray itself ends the process, without a word, after about 14 and 60 seconds."""
    folder = make_folder(tmp_path)
    train_teacher(folder)
    study = folder / "studies" / "tiny"
    with ray() as (more, find), start(folder, [*words(300), *more]) as process:
        wait_until(lambda: lines(study / "trials.jsonl") > 0, process)
        os.kill(find(process.pid), signal.SIGKILL)
        _, errors = process.communicate(timeout=900)
    assert process.returncode == 1
    told = [line for line in errors.splitlines() if line.startswith("kdsearch:")]
    assert len(told) == 1, errors
    assert "Ray has ended under the study" in told[0]
    assert server in told[0]
    assert "Traceback" not in errors
    state = json.loads((study / "study.json").read_text())
    assert state["state"] == "failed"
    assert server in state["reason"]

    if ray is cluster:
        return  # it goes on alike
    known = lines(study / "trials.jsonl")
    again = [*words(known + 1), "--resume"]
    done = subprocess.run(command(*again), cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
