"""What the command line prints of a spec with passwords in it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from kdsearch.cli.running import go_on
from kdsearch.spec import load_spec
from tests.command_line import CallCommand

from .command import Command

SECRET = "Zq7pass"
URI = f"postgresql://me:{SECRET}@127.0.0.1:1/mlflow?password={SECRET}"
SHOWN = "postgresql://me:***@127.0.0.1:1/mlflow?password=***"


@pytest.mark.parametrize("words", [("run", "--dry-run", "--show-spec"), ("validate",)])
def test_what_is_printed_of_a_sound_spec(
    folder: Path, call_command: CallCommand, words: tuple[str, ...]
) -> None:
    told = call_command(*words, "spec.yaml", "--set", f"tracking.uri={URI}")
    assert told.code == 0
    assert SECRET not in told.out + told.err
    assert (f"uri: {SHOWN}" in told.out) is ("--dry-run" in words)


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        (f"tracking.uri={URI}", f"MLflow store at {SHOWN} "),
        (f"tracking.uri='http://me:{SECRET} {SECRET}@127.0.0.1:1'", "http://me:***@127.0.0.1:1 "),
        (f"search.trials={URI}", f"--set search.trials={SHOWN}: search.trials must be a whole"),
        (f"data.root={URI}", "--set data.root="),
        (f"teacher.checkpoint={URI}", "no file of weights"),
        (f"{URI}=3", "unknown key"),
        (URI.partition("?")[0], "write it as section.key=value"),
    ],
)
def test_what_is_told_of_one_that_cannot_be_used(
    kdsearch: Command, setting: str, words: str
) -> None:
    told = kdsearch("run", "spec.yaml", "--set", setting)
    assert SECRET not in told.sentence + told.printed
    assert words in told.sentence


def test_the_line_that_goes_on(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["kdsearch", "run", "spec.yaml", "--set", f"tracking.uri={URI}"]
    monkeypatch.setattr(sys, "argv", words)
    told = go_on(load_spec("spec.yaml"))
    assert told == f"kdsearch run spec.yaml --set 'tracking.uri={SHOWN}' (with what stands for ***)"
    monkeypatch.setattr(sys, "argv", words[:3])
    assert go_on(load_spec("spec.yaml")) == "kdsearch run spec.yaml"
