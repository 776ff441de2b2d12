"""The bound on decoded images."""

from __future__ import annotations

from pathlib import Path

import pytest

from kdsearch.data.feeds import memory


@pytest.mark.skipif(not Path("/proc/meminfo").is_file(), reason="/proc/meminfo is Linux's")
def test_without_a_container_it_is_the_machines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "_CGROUP_LIMIT", tmp_path / "absent")
    total = int(Path("/proc/meminfo").read_text().split("MemTotal:")[1].split()[0]) * 1024
    assert memory.memory_bytes() == total


@pytest.mark.parametrize(("content", "limited"), [("4096000\n", True), ("max\n", False)])
def test_a_containers_limit_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str, limited: bool
) -> None:
    file = tmp_path / "memory.max"
    file.write_text(content)
    monkeypatch.setattr(memory, "_CGROUP_LIMIT", file)
    assert (memory.memory_bytes() == 4_096_000) == limited


def test_half_of_the_memory_is_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "memory_bytes", lambda: 2 * 10 * 3 * 20 * 30)
    assert memory.fits_memory(10, 20, 30)
    assert not memory.fits_memory(11, 20, 30)
