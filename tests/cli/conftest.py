"""Runs the command line in an empty folder, where Ray cannot be started."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import ray

from tests.command_line import CallCommand

from .command import SPEC, Command, Told


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The working folder, with a sound ``spec.yaml``; in it, no other file may appear."""

    def no_ray(*_: Any, **__: Any) -> None:
        raise AssertionError("Ray was started before the request was checked")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(ray, "init", no_ray)
    for name in ("MLFLOW_TRACKING_URI", "RAY_ADDRESS"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "spec.yaml").write_text(SPEC, encoding="utf-8")
    return tmp_path


@pytest.fixture
def kdsearch(folder: Path, call_command: CallCommand) -> Command:
    """``kdsearch("run", "spec.yaml")``: runs the command and checks what holds for every error."""

    def run(*words: str) -> Told:
        before = sorted(folder.rglob("*"))
        code, out, err = call_command(*words)
        assert sorted(folder.rglob("*")) == before
        assert "Traceback" not in out + err
        assert err.count("\n") == 1
        assert err.startswith("kdsearch: ")
        return Told(code, err.removeprefix("kdsearch: ").rstrip("\n"), out)

    return run
