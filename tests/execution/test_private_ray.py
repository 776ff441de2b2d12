"""A private Ray on machines as they are: its files' folder, its token, and what is refused."""

from __future__ import annotations

import os
import pwd
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from kdsearch.errors import ClusterError, StudyError
from kdsearch.execution.connection import private_ray
from kdsearch.execution.connection.private_ray import check_home, not_started, private_files
from tests.conftest import SmallDisk

SOCKET = "ray/session_2026-12-31_23-59-59_999999_4194304/sockets/plasma_store.1"
"""A socket's path within Ray's folder, with the largest number that a process of Linux has."""


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The temporary folder, which no test may leave anything in."""
    for name in ("RAY_TMPDIR", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    assert list(folder.iterdir()) == []


@pytest.fixture
def short(short_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where links with short paths are made; in /tmp, those of other processes come and go."""
    monkeypatch.setattr(private_ray, "_SHORT", (str(short_folder),))
    return short_folder


@pytest.mark.parametrize("length", [1, 20, 200])
def test_the_folder_of_a_ray_is_private_short_and_removed(
    length: int, temporary: Path, short: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, place = set(short.iterdir()), temporary / ("x" * length)
    monkeypatch.setenv("RAY_TMPDIR", str(place))
    with private_files():
        folder = Path(os.environ["RAY_TMPDIR"])
        assert len(os.fsencode(folder / SOCKET)) <= 107
        (folder / "ray").mkdir()
        assert folder.stat().st_mode & 0o077 == 0
        assert {path.name for path in place.glob("*/*")} == {"ray", ".in-use"}
    assert os.environ["RAY_TMPDIR"] == str(place)
    assert set(short.iterdir()) == before
    place.rmdir()


KILLED = """
import os, sys
from kdsearch.execution.connection import private_ray
private_ray._SHORT = (sys.argv[1],)
with private_ray.private_files():
    print(os.environ["RAY_TMPDIR"], flush=True)
    os.kill(os.getpid(), 9)
"""


@pytest.mark.parametrize("length", [1, 200])
def test_the_folder_of_a_process_that_was_killed_is_removed_by_the_next(
    length: int, temporary: Path, short: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, place = set(short.iterdir()), temporary / ("x" * length)
    monkeypatch.setenv("RAY_TMPDIR", str(place))
    command = [sys.executable, "-c", KILLED, str(short)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    left = Path(done.stdout.strip())
    with private_files():
        own = Path(os.environ["RAY_TMPDIR"])
        monkeypatch.setenv("RAY_TMPDIR", str(place))
        for folder in (left, own):
            assert folder.is_dir()
            os.utime(folder / ".in-use", (0, 0))
        with private_files():
            assert own.is_dir()  # it is in use
            assert not left.exists()
    assert set(short.iterdir()) == before
    place.rmdir()


def fail() -> None:
    with private_files():
        Path(os.environ["RAY_TMPDIR"], "ray", "session_latest", "logs").mkdir(parents=True)
        raise not_started(Exception("The node timed out.\nAnd more."))


def test_a_ray_that_fails_leaves_its_logs_and_tells_where(
    short_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_TMPDIR", str(short_folder))
    with pytest.raises(ClusterError, match=r"machine \(The node timed out\); fix that") as caught:
        fail()
    (logs,) = short_folder.glob("kdsearch-*/ray/session_latest/logs")
    assert f"(Ray's logs: {logs})" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("home", "token"),
    [("{tmp_path}", False), ("/dev/null", True)],
)
def test_a_token_is_made_where_the_home_folder_cannot_keep_one(
    home: str, token: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", home.format(tmp_path=tmp_path))
    with private_files():
        assert len(os.environ.get("RAY_AUTH_TOKEN", "")) == 64 * token
    assert "RAY_AUTH_TOKEN" not in os.environ


def test_a_folder_in_which_nothing_can_be_kept_is_refused(
    small_disk: SmallDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    for place, words in (("/dev/null/x", "Not a directory"), (small_disk.folder, "has 0 MB left")):
        monkeypatch.setenv("RAY_TMPDIR", str(place))
        with pytest.raises(StudyError, match=words) as caught, private_files():
            pytest.fail("it must be refused")
        assert str(place) in str(caught.value)
        assert "RAY_TMPDIR" in str(caught.value)


def test_a_user_without_a_home_is_told_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    check_home()

    def unknown(user: int) -> None:
        raise KeyError(f"getpwuid(): uid not found: {user}")

    monkeypatch.delenv("HOME")
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    with pytest.raises(StudyError, match="no home folder, which Ray asks for; set HOME to a"):
        check_home()


SESSION = """
import os, sys
from kdsearch.execution.connection.session import ray_session
from kdsearch.spec import parse_spec
import ray

@ray.remote
def imported():
    import kdsearch, statistics
    return statistics.mean([1, 2])

with ray_session(parse_spec(sys.argv[1]), None):
    print(ray.get(imported.remote()))
"""
DOCKER = 'mount -t tmpfs -o size=64m tmpfs /dev/shm && exec "$@"'


@pytest.mark.slow
def test_a_ray_runs_on_a_machine_that_lacks_about_everything(
    spec_text: str, tmp_path: Path
) -> None:
    """64 MB of shared memory, no home folder, a proxy that is dead, and a user's statistics.py."""
    alone = ["unshare", "-m", "sh", "-c", DOCKER, "sh"]
    if subprocess.run([*alone, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no file system can be mounted here")
    (tmp_path / "statistics.py").write_text("raise RuntimeError")
    with socket.socket() as dead:
        dead.bind(("127.0.0.1", 0))  # bound but not listening: connections are refused
        proxy = f"http://127.0.0.1:{dead.getsockname()[1]}"
        done = subprocess.run(
            [*alone, sys.executable, "-P", "-c", SESSION, spec_text],
            cwd=tmp_path,
            env={
                "PATH": os.environ["PATH"],
                "PYTHONPATH": str(Path(__file__).parents[2]),
                "HOME": "/dev/null",
                "TMPDIR": "/absent",
                **dict.fromkeys(("http_proxy", "https_proxy", "ALL_PROXY"), proxy),
            },
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
    assert (done.returncode, done.stdout, done.stderr) == (0, "1.5\n", "")
