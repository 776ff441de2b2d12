"""Versions and commit against what pip and git say."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import torch

from kdsearch.tracking.provenance import git_commit, versions


def test_versions_are_those_that_run() -> None:
    found = versions()
    assert found["torch"] == torch.__version__.split("+")[0]
    assert {"python", "ray", "optuna", "mlflow"} <= set(found)


def test_the_commit_is_gits_and_says_when_files_differ(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert git_commit() is None

    def git(*words: str) -> str:
        identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
        return subprocess.run(
            ["git", *identity, *words], check=True, capture_output=True, text=True
        ).stdout.strip()

    git("init", "-q")
    (tmp_path / "a").write_text("1")
    git("add", "a")
    git("commit", "-qm", "one")
    assert git_commit() == git("rev-parse", "HEAD")
    (tmp_path / "a").write_text("2")
    assert git_commit() == git("rev-parse", "HEAD") + "-dirty"
