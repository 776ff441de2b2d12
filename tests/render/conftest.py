"""Methods and a model of a user's own, and the command line as a person runs it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from kdsearch import plugins
from kdsearch.methods import Method
from tests.command_line import CallCommand

OWN = '''
import torch
from kdsearch.methods import Hyperparameter, Method
from kdsearch.models import Signal
from kdsearch.spec.ranges import Choices, Range

class Own(Method):
    """mean_B |z_s − z_t| [B, K]; a formula of
    two lines.

    See :class:`~kdsearch.methods.kd.KD` and ``z``.

    Attributes:
        nothing: Left out.
    """

    name = "own"
    kind = "relation"
    paper = "Doe, Roe & Poe 2031, A Title [with brackets]"
    signals = frozenset({Signal.EMBEDDING, Signal.LOGITS})
    batchwise = True
    by_sample = True
    adopts_classifier = True
    hyperparameters = {
        "weight": Hyperparameter(16384, Range(low=0.00005, high=20000, log=True), "its weight"),
        "bins": Hyperparameter(4, Choices(choices=(2, 4, 8)), "number of bins"),
        "decay": Hyperparameter(0.25, None, "how it fades"),
    }
    def forward(self, student, teacher, targets, progress):
        return {"own": (student.logits - teacher.logits).abs().mean()}

class Copy(Own):
    name = "copy"
    kind = "parameter"
    signals = frozenset()
    batchwise = by_sample = adopts_classifier = False
    ce_weight = 0.3
    hyperparameters = {"depth": Hyperparameter(1, None, "layers to copy", whole=True)}

def network(image_shape, classes, width):
    raise AssertionError("a list of models builds none")
'''


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> type[Method]:
    """A method in a module beside the spec, also installed with a method that breaks."""
    (tmp_path / "own_methods.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "own_methods", raising=False)
    points = [
        EntryPoint("plugged", "own_methods:Own", "kdsearch.methods"),
        EntryPoint("copied", "own_methods:Copy", "kdsearch.methods"),
        EntryPoint("broken", "module_that_is_absent:Own", "kdsearch.methods"),
        EntryPoint("my_network", "own_methods:network", "kdsearch.models"),
    ]
    monkeypatch.setattr(
        plugins, "entry_points", lambda group: [p for p in points if p.group == group]
    )
    import own_methods

    return own_methods.Own


@pytest.fixture
def kdsearch(call_command: CallCommand) -> Callable[..., str]:
    """``kdsearch("methods")``: what the command prints."""

    def run(*arguments: str) -> str:
        code, out, _ = call_command(*arguments)
        assert code == 0
        return out

    return run
