"""What cannot be exported is told before anything trains."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from torch import Tensor, nn

from kdsearch.data import Dataset
from kdsearch.space.export_checks import export_warnings
from kdsearch.spec import parse_spec
from kdsearch.ways.quantize import Quantize
from tests.command_line import CallCommand

TEXT = """
study: {{name: small, directory: {folder}}}
data: {{source: digits, validation: 0.2, test: 0.25, limit: 300}}
teacher: {{model: {{family: convnet, depth: 2}}, training: {{epochs: 1}}}}
students:
  - {{family: convnet}}
  - {{family: "{family}"}}
methods: [none, kd]
training: {{epochs: 1}}
"""

MINE = "tests.space.test_export_checks:"


class Undone(Quantize):
    """A way of the user's whose weights are unpacked by what values decide."""

    name = "undone"

    def unpack(self, parts: Mapping[str, Tensor], shape: tuple[int, ...]) -> Tensor:
        weight = super().unpack(parts, shape)
        return weight if float(weight.sum()) > 0 else weight * 2


class Branching(nn.Module):
    """Goes a way that values decide."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.inner = nn.Linear(64, 16)
        self.layer = nn.Linear(16, classes)

    def forward(self, images: Tensor) -> Tensor:
        inner = self.inner(images.flatten(1)).relu()
        return self.layer(inner if float(inner.detach().sum()) > 0 else inner * 2)


def branching(image_shape: tuple[int, ...], classes: int, width: float) -> nn.Module:
    return Branching(classes)


def plain(image_shape: tuple[int, ...], classes: int, width: float) -> nn.Module:
    layers = nn.Flatten(), nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, classes)
    return nn.Sequential(*layers)


@pytest.mark.parametrize(
    ("family", "own_alone", "count"),
    [
        (f"{MINE}plain", False, 0),
        (f"{MINE}branching", False, 1),
        (f"{MINE}branching", True, 1),
        ("mlp", False, 0),
    ],
)
def test_a_network_that_cannot_be_traced(
    family: str, own_alone: bool, count: int, digits: Dataset, tmp_path: Path
) -> None:
    spec = parse_spec(TEXT.format(folder=tmp_path, family=family))
    found = export_warnings(spec, digits, own_alone)
    assert len(found) == count
    for line in found:
        assert line.startswith("<text>:7:")
        assert "torch.export cannot trace" in line
        assert "\n" not in line


@pytest.mark.parametrize("family", ["mlp", f"{MINE}plain"])
def test_a_way_whose_weights_cannot_be_unpacked(
    digits: Dataset, tmp_path: Path, family: str
) -> None:
    text = TEXT.format(folder=tmp_path, family=family)
    spec = parse_spec(text, [f"ways={{none: {{}}, quantize: {{}}, '{MINE}Undone': {{}}}}"])
    found = export_warnings(spec, digits, own_alone=True)
    assert len(found) == 2  # of both families
    for line in found:
        assert line.startswith("--set ways=")
        assert "torch.export cannot trace" in line
    sound = parse_spec(text, ["ways=[none, low_rank, prune+quantize]"])
    assert export_warnings(sound, digits) == []


def test_validate_warns_of_it(tmp_path: Path, call_command: CallCommand) -> None:
    file = tmp_path / "space.yaml"
    file.write_text(TEXT.format(folder=tmp_path, family=f"{MINE}branching"))
    done = call_command("validate", str(file))
    assert done.code == 0, done.err
    told = " ".join(done.out.split())
    assert f"torch.export cannot trace {MINE}branching" in told
    assert "kdsearch export will refuse its students" in told
