"""Installed packages are looked through once for each state of the import path."""

from __future__ import annotations

from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from kdsearch import plugins
from kdsearch.plugins import installed


def test_they_are_looked_through_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def find(group: str) -> list[EntryPoint]:
        asked.append(group)
        return [EntryPoint("own", "module:Own", group)]

    monkeypatch.setattr(plugins, "entry_points", find)
    for _ in range(3):
        assert list(installed("kdsearch.methods")) == ["own"]
        assert installed("kdsearch.models")["own"].group == "kdsearch.models"
    assert asked == ["kdsearch.methods", "kdsearch.models"]


def test_a_package_on_a_new_path_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "late" not in installed("kdsearch.methods")
    info = tmp_path / "late-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: late\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[kdsearch.methods]\nlate = module:Late\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert installed("kdsearch.methods")["late"].value == "module:Late"
