"""A study under which Ray's own servers are killed: one sentence, the state, and it goes on."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path

import pytest
from ray.cluster_utils import Cluster

from tests.user_study import command, lines, make_folder, start, wait_until

pytestmark = pytest.mark.slow


def children(pid: int) -> dict[str, int]:
    """Names and ids of a process's children, as the kernel tells them."""
    ids = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return {Path(f"/proc/{each}/comm").read_text().strip(): int(each) for each in ids}


@pytest.mark.parametrize(("server", "seconds"), [("raylet", 13), ("gcs_server", 58)])
def test_the_end_of_ray_is_told(tmp_path: Path, server: str, seconds: float) -> None:
    """Before Ray itself ends the process, without a word, after about 14 and 60 seconds."""
    folder = make_folder(tmp_path)
    words = ["run", "space.yaml", "--set", "search.trials=300", "--set", "finalists.max=1"]
    study = folder / "studies" / "tiny"
    with start(folder, words) as process:
        wait_until(lambda: lines(study / "trials.jsonl") > 0, process)
        subprocess.run(["kill", "-KILL", str(children(process.pid)[server])], check=True)
        begun = time.monotonic()
        _, errors = process.communicate(timeout=120)
    assert time.monotonic() - begun < seconds
    assert process.returncode == 1
    told = [line for line in errors.splitlines() if line.startswith("kdsearch:")]
    assert len(told) == 1, errors
    assert "Ray has ended under the study" in told[0]
    assert server in told[0]
    assert "Traceback" not in errors
    state = json.loads((study / "study.json").read_text())
    assert state["state"] == "failed"
    assert server in state["reason"]

    go_on(folder, words, study)


@pytest.mark.parametrize(("server", "seconds"), [("raylet", 13), ("gcs_server", 58)])
def test_the_end_of_a_clusters_head_is_told(tmp_path: Path, server: str, seconds: float) -> None:
    folder = make_folder(tmp_path)
    words = ["run", "space.yaml", "--set", "search.trials=300", "--set", "finalists.max=1"]
    study = folder / "studies" / "tiny"
    cluster = Cluster(
        initialize_head=True, head_node_args={"num_cpus": 2, "include_dashboard": False}
    )
    try:
        with start(folder, [*words, "--address", cluster.address]) as process:
            wait_until(lambda: lines(study / "trials.jsonl") > 0, process)
            cluster.head_node.all_processes[server][0].process.kill()
            begun = time.monotonic()
            _, errors = process.communicate(timeout=120)
    finally:
        cluster.shutdown()
    assert time.monotonic() - begun < seconds
    assert process.returncode == 1
    (told,) = (line for line in errors.splitlines() if line.startswith("kdsearch:"))
    assert "Ray has ended under the study" in told
    assert server in told
    assert json.loads((study / "study.json").read_text())["state"] == "failed"
    go_on(folder, words, study)


def go_on(folder: Path, words: list[str], study: Path) -> None:
    """With a Ray of its own, the study ends after one more trial."""
    known = lines(study / "trials.jsonl")
    again = [*words[:3], f"search.trials={known + 1}", *words[4:], "--resume"]
    done = subprocess.run(command(*again), cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
