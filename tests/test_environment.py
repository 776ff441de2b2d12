from __future__ import annotations

import os

import pytest

from kdsearch.environment import environment


def test_variables_are_set_and_taken_away_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KDSEARCH_A", "before")
    monkeypatch.setenv("KDSEARCH_B", "before")
    monkeypatch.delenv("KDSEARCH_C", raising=False)
    known = dict(os.environ)
    changes = {"KDSEARCH_A": "now", "KDSEARCH_B": None, "KDSEARCH_C": "now"}
    with environment(changes):
        assert [os.environ.get(name) for name in changes] == ["now", None, "now"]
    assert dict(os.environ) == known
    with pytest.raises(ValueError, match="made up"), environment(changes):
        raise ValueError("made up")
    assert dict(os.environ) == known
