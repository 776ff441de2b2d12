"""Files of torch.export answer as the network."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch

from kdsearch.graphs.program import to_pt2
from tests.graphs.networks import CLASSES, IMAGE, NUMBERS, PRICE, sample_network, samples


@pytest.mark.parametrize("count", [1, 2, 9])
def test_a_program_takes_any_number_of_samples(count: int) -> None:
    inputs = IMAGE | NUMBERS
    module = sample_network("mlp", inputs, (CLASSES, PRICE))
    loaded = torch.export.load(io.BytesIO(to_pt2(module))).module()
    given = [torch.from_numpy(each) for each in samples(inputs, count).values()]
    with torch.no_grad():
        torch.testing.assert_close(loaded(*given), module(*given))


def test_a_program_takes_images_of_any_size_where_the_study_resizes() -> None:
    module = sample_network(image_size=16)
    loaded = torch.export.load(io.BytesIO(to_pt2(module))).module()
    for size in ((16, 16), (31, 20)):
        pixels = np.random.default_rng(0).integers(0, 256, (3, 3, *size), dtype=np.uint8)
        with torch.no_grad():
            found, expected = (each(torch.from_numpy(pixels)) for each in (loaded, module))
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
