"""``kdsearch ui`` as a real process: what it says, what it is made of, and that nothing is left."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from kdsearch.results.study import Study
from kdsearch.tracking.store import Store
from kdsearch.tracking.writer import Writer
from tests.interrupts import interruptible
from tests.servers import free_ports

pytestmark = pytest.mark.slow

PARENT = "import subprocess, sys; sys.exit(subprocess.run(sys.argv[1:]).returncode)"


@pytest.fixture
def command(study: Study, store: Store) -> Iterator[list[str]]:
    """The command on a study that its store has; what it leaves is ended after the test."""
    (port,) = free_ports(1)
    Writer(store, study).begin()
    folder = str(study.directory.path)
    words = [sys.executable, "-m", "kdsearch.cli", "ui", folder, "--port", str(port)]
    before = {process.pid for process in psutil.process_iter()}
    yield words
    for process in psutil.process_iter(["cmdline"]):
        if process.pid not in before and str(port) in (process.info["cmdline"] or ()):
            process.kill()


def start(words: list[str]) -> tuple[subprocess.Popen[str], str]:
    """Start a command; it with its first line, which is cut off after a minute."""
    with interruptible():
        process = subprocess.Popen(
            words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
        )
    assert process.stdout is not None
    return process, process.stdout.readline().strip()


def tree(process: psutil.Process) -> list[psutil.Process]:
    return [process, *process.children(recursive=True)]


def answers(address: str) -> bytes:
    with urllib.request.urlopen(address, timeout=10) as answer:
        assert answer.status == 200
        return answer.read()


def test_it_tells_its_address_once_it_answers_and_is_small_and_quiet(
    command: list[str], study: Study, store: Store
) -> None:
    process, address = start(command)
    assert b"<title>MLflow" in answers(address)  # at once
    known = study.state["mlflow"]
    page = f"#/experiments/{known['experiment_id']}/runs/{known['run_id']}"
    assert address.endswith(f":{command[-1]}/{page}?workflowType=machine_learning")
    server = address.partition("#")[0]
    found = answers(f"{server}api/2.0/mlflow/runs/get?run_id={known['run_id']}")
    assert study.directory.inputs().id.encode() in found
    there = tree(psutil.Process(process.pid))
    assert len(there) <= 3
    for each in there:
        assert not [part for part in each.memory_maps() if "torch" in part.path]
        assert store.uri not in " ".join(each.cmdline())  # others can read it
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=120)
    assert (out, err) == ("", "")


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGKILL])
def test_a_signal_ends_all_of_it(command: list[str], end: signal.Signals) -> None:
    process, _ = start(command)
    there = tree(psutil.Process(process.pid))
    assert len(there) > 1
    process.send_signal(end)
    gone, alive = psutil.wait_procs(there, timeout=120)
    assert alive == []
    (code,) = (each.returncode for each in gone if each.pid == process.pid)
    assert code == (-end if end == signal.SIGKILL else 130)


def test_it_ends_with_its_parent(command: list[str]) -> None:
    parent, address = start([sys.executable, "-c", PARENT, *command])
    assert answers(address.partition("#")[0])
    _, *there = tree(psutil.Process(parent.pid))
    assert len(there) > 1
    parent.kill()
    _, alive = psutil.wait_procs(there, timeout=120)
    assert alive == []


def test_a_store_that_the_server_refuses_is_told_in_one_sentence(
    command: list[str], store: Store
) -> None:
    file = Path(store.uri.removeprefix("sqlite:///"))
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '451aebb31d03'")
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("kdsearch: MLflow's server has ended (")
    assert "schema" in done.stderr
    assert done.stderr.count("\n") == 1
