"""The page on fine-tuning: its example runs as it stands, but for its length."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from kdsearch.spec import parse_spec
from kdsearch.spec.concrete import FineTuning
from tests.command_line import CallCommand
from tests.docs_page import SHORTER, Page

PAGE = Page("fine-tuning.md", ("printed",))
SHORT = (*SHORTER, "teacher.training.fine_tuning.head_epochs=1")


def test_the_example_is_sound() -> None:
    spec = parse_spec(PAGE.spaces()["tuned"])
    assert spec.teacher.training.fine_tuning == FineTuning(head_epochs=5, layer_decay=0.7)
    assert spec.teacher.model.pretrained


@pytest.mark.slow
def test_the_example_runs_to_its_front(tmp_path: Path, call_command: CallCommand) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.text, re.DOTALL)
    short = code.replace("arange(6000)", "arange(300)").replace("60 * 20", "20")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        exec(short, {})
    printed = PAGE.run("tuned", tmp_path, call_command, SHORT, trains_teachers=True)
    assert "teacher: fine-tuning for 3 epochs" in printed
    assert re.search(r"training took: teacher fine-tuned \d+ s, search \d", printed)
    study = tmp_path / "studies" / "tuned"
    teacher = json.loads((study / "study.json").read_text())["teachers"]["teacher"]
    assert teacher["epochs"] == 3
    assert teacher["seconds"] > 0
    before = torch.load(tmp_path / "printed.pt", weights_only=True)
    after = load_file(teacher["weights"])
    assert before.keys() == after.keys()
    assert not torch.equal(before["classifier.weight"], after["classifier.weight"])
    assert "before this study" not in (study / "report.html").read_text()
