"""Sizes of images as a dimension of the students, and of the data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from optuna.trial import FixedTrial
from PIL import Image

from kdsearch.errors import SpecError
from kdsearch.models import build_network, measure
from kdsearch.models.weights import save_weights
from kdsearch.space.checks import make_plan
from kdsearch.spec import ModelConfig, load_spec, parse_spec


def test_a_students_size_is_drawn_and_its_cost_known(spec_text: str) -> None:
    sized = "students=[{family: convnet, width: 0.5, depth: 2, image_size: {choices: [8, 16]}}]"
    spec = parse_spec(spec_text, [sized, "methods=[none, kd]"])
    plan = make_plan(spec)
    found = {}
    for side in (8, 16):
        drawn = {"method": "none", "convnet.image_size": side, "lr": 0.05}
        model = plan.space.suggest(FixedTrial(drawn)).model
        assert model.image_size == side
        found[side] = plan.architectures.size(model)
        plain = ModelConfig(family="convnet", width=0.5, depth=2)
        assert found[side].parameters == plan.architectures.size(plain).parameters
    assert found[8].macs == plan.architectures.size(plain).macs
    assert found[16].macs > 3 * found[8].macs


def test_pairs_are_compared_at_the_sizes_that_each_has(spec_text: str) -> None:
    """The shapes by which a method is found to fit are those of the student's own images."""
    small = "students=[{family: resnet, width: 0.25, depth: 8, image_size: %s}]"
    plans = {
        side: make_plan(
            parse_spec(spec_text, [small % side, "methods=[none, kd]", "search.size=macs"])
        )
        for side in (8, 32)
    }
    shapes = {
        side: plan.architectures.shapes(
            plan.space.suggest(FixedTrial({"method": "none", "lr": 0.1})).model
        )
        for side, plan in plans.items()
    }
    assert [h for _, h, _ in shapes[32].maps] == [4 * h for _, h, _ in shapes[8].maps]


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("students.0.image_size=2", "at least 4 pixels"),
        ("students.0.image_size=8.5", "must be a whole number"),
        ("students.0.normalise={mean: [0.5], std: [0]}", "above 0|greater than 0"),
        ("students.0.normalise={mean: [0.5], std: [0.5, 1]}", "mean has 1 values and std 2"),
    ],
)
def test_sizes_and_scales_that_cannot_be(spec_text: str, override: str, told: str) -> None:
    with pytest.raises(SpecError, match=told):
        parse_spec(spec_text, [override])


def test_a_normalisation_of_other_channels_is_refused_in_its_line(spec_text: str) -> None:
    wrong = "students=[{family: convnet, normalise: {mean: [0.5, 0.5], std: [0.5, 0.5]}}]"
    make_plan(parse_spec(spec_text, [wrong]))  # digits are grey, and are repeated
    wide = "teacher.model={family: torchvision/vit_b_16, image_size: 30}"
    with pytest.raises(SpecError, match=r"vit_b_16 cannot be built for images of 30×30"):
        make_plan(parse_spec(spec_text, [wide]))


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Forty images of two classes, 40 pixels wide."""
    generator = np.random.default_rng(0)
    for split, count in (("train", 24), ("test", 8)):
        for label in ("dark", "light"):
            folder = tmp_path / "pictures" / split / label
            folder.mkdir(parents=True)
            for number in range(count):
                low = 0 if label == "dark" else 128
                pixels = generator.integers(low, low + 128, (40, 40, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / f"{number}.png")
    return tmp_path / "pictures"


SIZES = """
study: {{name: sizes, directory: {folder}}}
data: {{source: image_folder, root: {root}, image_size: {{choices: [16, 32]}}, validation: 0.25}}
teacher: {{model: {{family: convnet, depth: 2}}, training: {{epochs: 1, batch_size: 8}}}}
students:
  - {{family: convnet, width: 0.5, depth: 2}}
  - {{family: resnet, width: 0.25, depth: 8, image_size: 16}}
methods: [none, kd+at]
training: {{epochs: 1, batch_size: 8}}
"""


def test_data_are_read_at_the_largest_and_students_draw_their_own(
    pictures: Path, tmp_path: Path
) -> None:
    file = tmp_path / "sizes.yaml"
    file.write_text(SIZES.format(folder=tmp_path, root=pictures))
    spec = load_spec(file)
    assert spec.data.side == 32
    plan = make_plan(spec)
    assert plan.data.inputs["image"].shape == (3, 32, 32)
    for side in (16, 32):
        drawn = {"method": "none", "student": "convnet", "convnet.image_size": side}
        model = plan.space.suggest(FixedTrial(drawn)).model
        network = build_network(model, plan.data.inputs, 2)
        assert network(torch.randn(2, 3, 32, 32)).shape == (2, 2)
        assert plan.architectures.shapes(model).maps[0][1:] == network.signal_shapes().maps[0][1:]
        assert plan.architectures.size(model) == measure(network)
    fixed = plan.space.suggest(FixedTrial({"method": "none", "student": "resnet"})).model
    assert fixed.image_size == 16


def test_a_head_of_other_classes_is_told_with_the_plan(
    pictures: Path, tmp_path: Path, spec_text: str
) -> None:
    torch.manual_seed(0)
    weights = tmp_path / "resnet18.pth"
    torch.save(torchvision.models.resnet18(num_classes=7).state_dict(), weights)
    text = SIZES.format(folder=tmp_path, root=pictures).replace(
        "methods: [none, kd+at]", "methods: [none]"
    )
    halves = "[0.5, 0.5, 0.5]"
    own = f"normalise: {{mean: {halves}, std: {halves}}}, image_size: 48"
    model = f"{{family: torchvision/resnet18, weights: {weights}, {own}}}"
    plan = make_plan(parse_spec(text, [f"teacher.model={model}", "students=[{family: convnet}]"]))
    assert plan.warnings == [
        f"the head of {weights} has 7 outputs (fc.bias), not 2: a fresh one is trained in its place"
    ]
    save_weights(
        build_network(ModelConfig(family="convnet"), plan.data.inputs, 2),
        tmp_path / "s.safetensors",
    )
    file = f"students=[{{family: convnet, weights: {tmp_path / 's.safetensors'}}}]"
    assert make_plan(parse_spec(text, [file])).warnings == []
