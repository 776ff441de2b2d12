"""A trained network takes samples as they are, and answers in the units of the data."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from kdsearch.data import Dataset, Views, load_dataset
from kdsearch.data.dataset import Split
from kdsearch.errors import RunError
from kdsearch.graphs.samples import SampleNetwork, calibration_samples, samples_of
from kdsearch.graphs.scores import scores_of
from kdsearch.models import build_network
from kdsearch.problems import Problem
from kdsearch.spec.concrete import ModelConfig
from kdsearch.spec.sections import DataSection
from kdsearch.training.evaluation import evaluate
from tests.graphs.networks import NUMBERS, PRICE, sample_network, samples


def test_outputs_are_those_of_the_network_on_normalised_samples() -> None:
    module = sample_network("mlp", NUMBERS, (PRICE,))
    given = samples(NUMBERS, 6)["numbers"]
    scale = module.scales["numbers"]
    normalised = (given - np.array(scale.mean)) / np.array(scale.std)
    with torch.no_grad():
        found = module(torch.from_numpy(given))
        inner = module.network(torch.from_numpy(normalised).float())
    torch.testing.assert_close(found, inner * PRICE.std + PRICE.mean)


def test_ranges_are_measured_in_the_domain_in_use(digits: Dataset) -> None:
    count = len(digits.train)
    target = torch.arange(count) >= count - 30
    adapted = replace(digits, train=replace(digits.train, domain=target))
    found = calibration_samples(adapted, ["image"], 20)["image"]
    assert len(found) == 20
    own = {each.tobytes() for each in digits.train.images[target].numpy()}
    assert {each.tobytes() for each in found} <= own
    whole = calibration_samples(digits, ["image"], 20)["image"]
    np.testing.assert_array_equal(whole, samples_of(digits.train, ["image"], 20)["image"])


@pytest.mark.parametrize(("most", "count"), [(None, 449), (100, 100), (449, 449), (9999, 449)])
def test_samples_spread_over_a_split(most: int | None, count: int, digits: Dataset) -> None:
    found = samples_of(digits.test, ["image"], most)["image"]
    assert found.dtype == np.uint8
    assert len(found) == count
    assert (found[0] == digits.test.images[0].numpy()).all()
    if most == 100:
        assert (found[99] == digits.test.images[444].numpy()).all()


def test_scores_are_those_of_the_network(digits: Dataset) -> None:
    network = build_network(ModelConfig(family="convnet", depth=1), digits.inputs, 10).eval()
    module = SampleNetwork.of(network, digits, DataSection(source="digits")).eval()
    with torch.no_grad():
        outputs = module(digits.test.images).numpy()
    expected = evaluate(network, Views(digits.test, digits.scales, None, 0), digits.problem)
    assert scores_of(outputs, digits.test, digits.problem) == pytest.approx(expected)


def test_scores_of_values_are_in_their_own_unit() -> None:
    targets = torch.tensor([200_000.0, 300_000.0, 100_000.0])
    split = Split({"numbers": torch.zeros(3, 4, dtype=torch.float64)}, {"price": targets})
    outputs = (targets + torch.tensor([1000.0, -1000.0, 4000.0]))[:, None].numpy()
    found = scores_of(outputs, split, Problem(heads=(PRICE,)))
    assert found["mae"] == pytest.approx(2000)
    with pytest.raises(RunError, match="infinite or no number"):
        scores_of(outputs * np.inf, split, Problem(heads=(PRICE,)))


def test_image_files_of_any_size_answer_as_the_resized_ones(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    given = []
    for part in ("train", "test"):
        for number in range(12):
            folder = tmp_path / part / f"class{number % 2}"
            folder.mkdir(parents=True, exist_ok=True)
            height, width = generator.integers(9, 40, 2)
            pixels = generator.integers(0, 256, (height, width, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / f"{number:02}.png")
            if part == "test":
                given.append((number % 2, number, torch.from_numpy(pixels).permute(2, 0, 1)[None]))
    section = DataSection(source="image_folder", root=tmp_path, image_size=12, validation=0.2)
    data = load_dataset(section)
    torch.manual_seed(0)
    network = build_network(ModelConfig(family="convnet", depth=2), data.inputs, 2).eval()
    module = SampleNetwork.of(network, data, section).eval()
    with torch.no_grad():
        read = module(data.test.images)
        raw = torch.cat([module(images) for *_, images in sorted(given, key=lambda each: each[:2])])
    # of the files' pixels, which were rounded to 8 bits when they were read
    torch.testing.assert_close(raw, read, rtol=0, atol=0.02)
